-- The job queue. A job is added in the transaction of the change that needs it, and deleted when it is done.
create table job (
    id         bigint generated always as identity primary key,
    -- The name of its type. A worker takes only the types of its release.
    task       text not null,
    -- The fields of the job. Ids only: operators can read them, and so can readers of a dump.
    payload    jsonb not null check (jsonb_typeof(payload) = 'object'),
    -- The request id, trace and release that added it.
    context    jsonb not null default '{}',
    -- Unique among waiting jobs: adding a job with the key of a waiting job adds nothing. Null: no such limit.
    key        text,
    -- When to run it. While it runs, the end of its lease, which its worker renews: the job of a dead worker becomes
    -- due.
    due        timestamptz not null default now(),
    -- How often it was taken. Counted at the start of a run, so that a job that kills its worker ends, too.
    attempts   int not null default 0,
    -- New at each run (fencing): a worker that lost its lease can no longer change the row. Null while it waits.
    token      uuid,
    -- The last error.
    error      text,
    -- Failed for good; kept for an operator.
    dead       boolean not null default false,
    created_at timestamptz not null default now()
);

-- Finds the next job to run.
create index job_due on job (due, id) where not dead;
create unique index job_key on job (key) where token is null and not dead;

-- Adds a job, unless one with its key waits; returns the id of either. Called by the service and by triggers. It locks
-- the waiting job, so that no worker takes it before the caller commits.
create function add_job(task text, payload jsonb, key text default null, context jsonb default '{}')
returns bigint language sql as $$
    insert into job (task, payload, key, context) values (task, payload, key, context)
        on conflict (key) where token is null and not dead do update set key = excluded.key
  returning id
$$;

-- Periodic jobs: a row each, inserted by the migration of its domain. One of the workers adds the job when it is due.
create table job_schedule (
    task  text primary key,
    every interval not null,
    due   timestamptz not null default now()
);
