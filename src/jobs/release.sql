-- Gives a job back: with the error of a run, to wait for the next one, longer after each, or dead; without, where it was
-- not run to its end, which is no attempt.
update job
   set token = null, error = coalesce($3, error), dead = $4,
       attempts = case when $3::text is null then attempts - 1 else attempts end,
       due = case when $3::text is null then now()
                  else now() + least(exp(attempts), 600) * (0.75 + random() / 2) * interval '1 s' end
 where id = $1 and token = $2
