-- The job queue. A job is added in the transaction of the change that calls for it, and deleted when it is done.
create table job (
    id         bigint generated always as identity primary key,
    -- The name of its type. A worker takes only those that its release knows.
    task       text not null,
    -- The job itself. Ids only: operators read it, and a dump holds it.
    payload    jsonb not null check (jsonb_typeof(payload) = 'object'),
    -- The request that added it, and the release.
    context    jsonb not null default '{}',
    -- At most one job of a key waits, so that adding it again does nothing. Null for a job that may be there twice.
    key        text,
    -- When it is to run. While it runs it is its lease: the worker puts it off again and again, and a job whose worker
    -- died is simply due.
    due        timestamptz not null default now(),
    -- How often it was taken. Counted when it is taken, so that a job that kills its worker comes to an end.
    attempts   int not null default 0,
    -- Made anew at each take: a worker that lost its lease can change nothing any more. Null while it waits.
    token      uuid,
    -- Why it failed last.
    error      text,
    -- Failed for good, and kept for an operator.
    dead       boolean not null default false,
    created_at timestamptz not null default now()
);

-- The next one to take.
create index job_due on job (due, id) where not dead;
create unique index job_key on job (key) where token is null and not dead;

-- Adds a job, unless one of its key waits; answers its id. The service calls it, and so do triggers. It locks the one
-- that waits, so that no worker takes that before the caller's change can be seen.
create function add_job(task text, payload jsonb, key text default null, context jsonb default '{}')
returns bigint language sql as $$
    insert into job (task, payload, key, context) values (task, payload, key, context)
        on conflict (key) where token is null and not dead do update set key = excluded.key
  returning id
$$;

-- Jobs that run again and again, a row each, from its domain's migration. Whichever worker finds one due adds it, once
-- for all workers.
create table job_schedule (
    task  text primary key,
    every interval not null,
    due   timestamptz not null default now()
);
