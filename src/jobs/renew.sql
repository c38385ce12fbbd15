-- Renews the leases of running jobs; answers the tokens of those that are still this worker's.
update job
   set due = now() + $3
  from unnest($1::bigint[], $2::uuid[]) as running (id, token)
 where job.id = running.id and job.token = running.token
returning job.token as "token!"
