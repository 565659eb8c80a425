-- Deploy hartonomous:role_llm_user to pg
-- requires: database_requirements

-- Roles belong to the whole cluster: another database may have deployed this one already.
-- The comment marks a role that a deployment created: only then does the revert of the last deployment drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_user') THEN
        RAISE NOTICE 'role llm_user is there already';
    ELSE
        CREATE ROLE llm_user NOLOGIN;
        COMMENT ON ROLE llm_user IS 'reads language models and generates (created by the deployment of hartonomous)';
    END IF;
END
$role$;

COMMIT;
