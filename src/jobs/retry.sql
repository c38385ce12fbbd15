update graphile_worker._private_jobs
   set attempts = 0, run_at = now(), updated_at = now()
 where locked_at is null and (id = $1 or ($1 is null and attempts >= max_attempts))
