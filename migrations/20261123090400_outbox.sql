-- The outbox: emails to send, and sent ones. The payload of their jobs is only the id, so that the queue holds neither
-- recipients nor tokens.
create table outbox_email (
    -- UUIDv7; also the local part of the Message-ID, which is the same if an email is sent twice.
    id         uuid primary key,
    -- The kind of email, a name of its domain.
    kind       text not null,
    -- The recipient at the time of the request: a notice of a change is sent to the old email.
    recipient  text not null check (length(recipient) <= 254),
    -- The account of the recipient; the email is deleted with it. Null for a sign-up, and for a reset until it is sent:
    -- requests do not look for the account, so that they take the same time for all emails.
    account_id uuid references account on delete cascade,
    -- The row that it is about, in a table of its domain. Without a foreign key: if the row is gone, the job drops the
    -- email.
    subject_id uuid,
    -- The id of the request that added it, to find it in the logs.
    request_id text,
    -- For deletion by age.
    created_at timestamptz not null default now(),
    -- When the mail server accepted it. Then it is not sent again.
    sent_at    timestamptz
);

-- For the cascade of the foreign key.
create index outbox_email_account_id on outbox_email (account_id);
-- For the erasure of an account, with every email to its owner.
create index outbox_email_recipient on outbox_email (recipient);
-- For deletion by age.
create index outbox_email_created_at on outbox_email (created_at);
