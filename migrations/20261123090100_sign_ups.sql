-- Pending sign-ups. No password: it is chosen when the email is confirmed, so nothing that a stranger typed becomes part
-- of an account.
create table sign_up (
    -- UUIDv7; never leaves the service.
    id         uuid primary key,
    -- Not unique: each request has its own link, and all of them work until one is used.
    email      text not null check (length(email) <= 254),
    -- Unconfirmed rows are deleted by age.
    created_at timestamptz not null default now()
);

-- Confirming one sign-up deletes the others of its email.
create index sign_up_email on sign_up (email);
-- For deletion by age.
create index sign_up_created_at on sign_up (created_at);
