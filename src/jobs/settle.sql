update graphile_worker._private_jobs
   set last_error = $3,
       attempts = case when $4 then max_attempts else attempts end,
       run_at = now() + least(exp(attempts), 600) * (0.75 + random() / 2) * interval '1 s',
       updated_at = now()
 where id = $1 and attempts = $2 and locked_at is null
