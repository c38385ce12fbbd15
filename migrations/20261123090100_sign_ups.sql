-- Pending sign-ups. One row per request, not per email: a second sign-up must not change what an older link confirms.
create table sign_up (
    -- UUIDv7; never leaves the service.
    id            uuid primary key,
    -- Not unique: several people may sign up with an email, but only its owner can confirm.
    email         text not null check (length(email) <= 254),
    -- The hash of the request's password, which the account gets.
    password_hash text not null,
    -- Unconfirmed rows are deleted by age.
    created_at    timestamptz not null default now()
);

-- Confirming one sign-up deletes the others of its email.
create index sign_up_email on sign_up (email);
-- For deletion by age.
create index sign_up_created_at on sign_up (created_at);
