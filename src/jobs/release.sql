-- Releases a job. With an error: it waits with exponential backoff, or is dead. Without one its run was aborted, which
-- does not count as an attempt.
update job
   set token = null, error = coalesce($3, error), dead = $4,
       attempts = case when $3::text is null then attempts - 1 else attempts end,
       due = case when $3::text is null then now()
                  else now() + least(exp(attempts), 600) * (0.75 + random() / 2) * interval '1 s' end
 where id = $1 and token = $2
