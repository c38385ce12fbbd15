-- Renews the leases of running jobs; returns the tokens of those that this worker still holds.
update job
   set due = now() + $3
  from unnest($1::bigint[], $2::uuid[]) as running (id, token)
 where job.id = running.id and job.token = running.token
returning job.token as "token!"
