BEGIN;
SELECT plan(4);

SELECT has_role('llm_atom_copier', 'the role is there');
SELECT isnt_superuser('llm_atom_copier', 'it is no superuser');
SELECT is(
    (
        SELECT rolcanlogin OR rolcreaterole OR rolcreatedb OR rolbypassrls
        FROM pg_catalog.pg_roles WHERE rolname = 'llm_atom_copier'
    ),
    FALSE, 'it cannot log in, make roles or databases, or pass by row-level security');
SELECT is(
    (
        SELECT pg_catalog.array_agg(m.roleid::regrole::text) FROM pg_catalog.pg_auth_members AS m
        WHERE m.member = 'llm_atom_copier'::regrole
    ),
    ARRAY['pg_read_server_files'], 'COPY from a session''s memory is all that it is for');

SELECT * FROM finish();
ROLLBACK;
