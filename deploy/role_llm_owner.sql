-- Deploy hartonomous:role_llm_owner to pg
-- requires: database_requirements

-- Roles belong to the whole cluster: another database may have deployed this one already.
-- The comment marks a role that a deployment created: only then does the revert of the last deployment drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_owner') THEN
        RAISE NOTICE 'role llm_owner is there already';
    ELSE
        CREATE ROLE llm_owner NOLOGIN;
        COMMENT ON ROLE llm_owner IS 'owns the schemas, tables, views and SQL functions of language models (created by the deployment of hartonomous)';
    END IF;
END
$role$;

COMMIT;
