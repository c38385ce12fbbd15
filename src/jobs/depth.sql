select count(*) filter (where due),
       coalesce(extract(epoch from now() - min(run_at) filter (where due)), 0)::float8,
       count(*) filter (where dead)
  from (select run_at, is_available and run_at <= now() as due,
               attempts >= max_attempts and locked_at is null as dead
          from graphile_worker._private_jobs) as job
