select count(*) filter (where ready) as "ready!",
       coalesce(extract(epoch from now() - min(due) filter (where ready)), 0)::float8 as "oldest_ready_seconds!",
       count(*) filter (where dead) as "dead!"
  from (select due, dead, not dead and due <= now() as ready from job) as job
