-- Notes: the demo domain. Nothing outside this file refers to its tables, and they refer to accounts alone.
create table note (
    -- UUIDv7, made by the service: unguessable enough to be public, and in order of time for the index.
    id         uuid primary key,
    -- Whose it is; it goes with the account.
    account_id uuid not null references account on delete cascade,
    -- Trimmed by the service, and of one line.
    title      text not null check (length(title) between 1 and 200),
    -- May be empty.
    body       text not null check (length(body) <= 100000),
    -- Counts the changes. It is what an ETag holds, as two changes may fall into one microsecond.
    version    bigint not null default 1,
    -- By the database's clock, as all processes share that one. Lists go by it, the newest first.
    created_at timestamptz not null default now(),
    -- When it was changed last.
    updated_at timestamptz not null default now(),
    -- What a search looks at. `simple` knows no language: it drops no word and cuts no ending.
    search     tsvector not null generated always as (to_tsvector('simple', title || ' ' || body)) stored
);

-- Pages of an account's notes, its quota, and the foreign key that cascades.
create index note_account_id on note (account_id, created_at desc, id desc);
-- Searches.
create index note_search on note using gin (search);

-- A note's image. Its objects are in storage: `notes/<key>` and, once a job has made it, `notes/<key>-preview`.
create table note_image (
    -- A note has one at most, which goes with it.
    note_id      uuid primary key references note on delete cascade,
    -- Random, and another one for each upload: an object never changes.
    key          uuid not null unique,
    -- As the service encoded it.
    content_type text not null check (content_type in ('image/jpeg', 'image/png')),
    -- The same of the preview; null until there is one.
    preview_type text check (preview_type in ('image/jpeg', 'image/png'))
);

-- Objects to delete. A row stands here before its object is stored, and goes when the object belongs to a note: no
-- object becomes an orphan, wherever an upload is aborted.
create table pending_upload (
    key uuid primary key,
    -- When it is an orphan: at once where an image was deleted, later where an upload may be in flight.
    due timestamptz not null
);

-- Finds aborted uploads.
insert into job_schedule (task, every) values ('sweep_images', '10 minutes');

-- However an image goes, by its note, its account or a newer image, its objects go too, and soon.
create function note_image_gone() returns trigger language plpgsql as $$
begin
    insert into pending_upload (key, due) values (old.key, now());
    perform add_job('sweep_images', '{}', 'sweep_images');
    return null;
end $$;

create trigger note_image_gone after delete or update of key on note_image
    for each row execute function note_image_gone();
