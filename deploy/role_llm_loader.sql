-- Deploy hartonomous:role_llm_loader to pg
-- requires: role_llm_user

-- Roles belong to the whole cluster: another database may have deployed this one already.
-- The comment marks a role that a deployment created: only then does the revert of the last deployment drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_loader') THEN
        RAISE NOTICE 'role llm_loader is there already';
    ELSE
        CREATE ROLE llm_loader NOLOGIN;
        COMMENT ON ROLE llm_loader IS 'loads and drops language models (created by the deployment of hartonomous)';
    END IF;
END
$role$;

GRANT llm_user TO llm_loader;

COMMIT;
