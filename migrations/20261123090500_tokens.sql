-- The tokens in the links of emails. Created when an email is sent, deleted when used.
create table token (
    -- SHA-256 of the token, so that a dump contains no valid token. A fast hash is enough for 32 random bytes.
    hash       bytea primary key check (length(hash) = 32),
    -- The email that it was sent in, which has its purpose. An email that was sent twice has two tokens.
    email_id   uuid not null references outbox_email on delete cascade,
    -- By the database's clock, which all processes share.
    expires_at timestamptz not null
);

-- For the cascade, and for changes of an account, which invalidate the tokens of its resets.
create index token_email_id on token (email_id);

insert into job_schedule (task, every) values ('clean_up', '10 minutes');
