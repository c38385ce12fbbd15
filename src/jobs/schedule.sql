-- Adds the periodic jobs that are due. The update locks their rows: one worker adds each.
with due as (update job_schedule set due = now() + every
              where due <= now() and task = any($1)
          returning task)
select add_job(task, '{}', task) from due
