-- Deploy hartonomous:role_llm_atom_copier to pg
-- requires: database_requirements

-- Roles belong to the whole cluster: another database may have deployed this one already.
-- pg_read_server_files: COPY from a session's own memory counts as reading a file. Without it, where an administrator
-- revokes it, atoms are inserted one by one.
-- The comment marks a role that a deployment created: only then does the revert of the last deployment drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $role$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'llm_atom_copier') THEN
        RAISE NOTICE 'role llm_atom_copier is there already';
    ELSE
        CREATE ROLE llm_atom_copier NOLOGIN IN ROLE pg_read_server_files;
        COMMENT ON ROLE llm_atom_copier IS
            'owns the function that copies atoms of language models from memory (created by the deployment of hartonomous)';
    END IF;
END
$role$;

COMMIT;
