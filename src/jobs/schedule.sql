-- Adds the periodic jobs that are due: one worker's statement finds each.
with due as (update job_schedule set due = now() + every
              where due <= now() and task = any($1)
          returning task)
select add_job(task, '{}', task) from due
