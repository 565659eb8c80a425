-- Revert hartonomous:role_llm_user from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
DECLARE
    created boolean := (
        SELECT pg_catalog.shobj_description(r.oid, 'pg_authid') LIKE '%(created by the deployment of hartonomous)'
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = 'llm_user'
    );
    members text := (
        SELECT pg_catalog.string_agg(m.member::pg_catalog.regrole::text, ', ')
        FROM pg_catalog.pg_auth_members AS m
        WHERE m.roleid = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_user')
    );
BEGIN
    IF created IS NOT TRUE THEN
        RAISE NOTICE 'role llm_user stays: hartonomous did not create it';
    ELSIF members IS NOT NULL THEN
        RAISE NOTICE 'role llm_user stays: it has members (%)', members;
    ELSE
        DROP ROLE llm_user;
    END IF;
EXCEPTION
    WHEN dependent_objects_still_exist THEN
        RAISE NOTICE 'role llm_user stays: other objects of this cluster need it';
END
$role$;

COMMIT;
