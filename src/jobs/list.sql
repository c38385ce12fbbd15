select concat_ws(e'\t', id, task, attempts, due, translate(coalesce(error, ''), e'\n\t', '  ')) as "line!"
  from job
 where dead or not $1
 order by id
