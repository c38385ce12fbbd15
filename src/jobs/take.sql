-- Takes up to $2 due jobs, the longest due first, with a lease of $3; a job whose lease expired is due, too.
-- Materialized: in a nested loop the limit would apply to each row of the outer table.
with due as materialized (
    select id from job
     where not dead and due <= now() and task = any($1)
     order by due, id
     limit $2
       for update skip locked
)
update job
   set token = gen_random_uuid(), attempts = attempts + 1, due = now() + $3
  from due
 where job.id = due.id
returning job.id, task, payload, context, attempts, token as "token!"
