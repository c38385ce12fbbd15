-- Takes up to $2 jobs that are due, the longest due first, for a lease of $3. A job whose lease ran out is one of them.
-- Materialized: in a nested loop the limit would hold for each row of the outer table, and not for all.
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
