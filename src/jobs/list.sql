select concat_ws(e'\t', job.id, task.identifier, attempts || '/' || max_attempts, run_at,
                 translate(coalesce(last_error, ''), e'\n\t', '  '))
  from graphile_worker._private_jobs as job
  join graphile_worker._private_tasks as task on task.id = job.task_id
 where not $1 or (attempts >= max_attempts and locked_at is null)
 order by job.id
