-- Makes the database and its two roles: `app_owner` makes and changes the tables, `app` only uses them. `migrate` grants
-- `app` its rights after each run. The image of docker-compose.yml runs this file once; elsewhere run it as a role that
-- may create roles and databases:
--
--   OWNER_PASSWORD=... APP_PASSWORD=... psql postgres://ADMIN@HOST/postgres -f deploy/postgres/roles.sql
--
-- Then DATABASE_URL is postgres://app:APP_PASSWORD@HOST/app, and MIGRATE_DATABASE_URL, only where `migrate` runs,
-- postgres://app_owner:OWNER_PASSWORD@HOST/app.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD

create role app_owner login password :'owner_password';
create role app login password :'app_password';
-- Only a member may create a database for a role, unless it is a superuser.
grant app_owner to current_user;
create database app owner app_owner;
