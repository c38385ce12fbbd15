update job
   set token = null, dead = false, attempts = 0, due = now()
 where id = $1 and (token is null or due <= now())
