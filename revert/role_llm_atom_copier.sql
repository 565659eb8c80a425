-- Revert hartonomous:role_llm_atom_copier from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
DECLARE
    created boolean := (
        SELECT pg_catalog.shobj_description(r.oid, 'pg_authid') LIKE '%(created by the deployment of hartonomous)'
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = 'llm_atom_copier'
    );
    members text := (
        SELECT pg_catalog.string_agg(m.member::pg_catalog.regrole::text, ', ')
        FROM pg_catalog.pg_auth_members AS m
        WHERE m.roleid = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_atom_copier')
    );
BEGIN
    IF created IS NOT TRUE THEN
        RAISE NOTICE 'role llm_atom_copier stays: hartonomous did not create it';
    ELSIF members IS NOT NULL THEN
        RAISE NOTICE 'role llm_atom_copier stays: it has members (%)', members;
    ELSE
        DROP ROLE llm_atom_copier;
    END IF;
EXCEPTION
    WHEN dependent_objects_still_exist THEN
        RAISE NOTICE 'role llm_atom_copier stays: other objects of this cluster need it';
END
$role$;

COMMIT;
