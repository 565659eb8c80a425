BEGIN;
SELECT plan(3);

SELECT has_role('llm_owner', 'the role is there');
SELECT isnt_superuser('llm_owner', 'it is no superuser');
SELECT is(
    (
        SELECT rolcanlogin OR rolcreaterole OR rolcreatedb OR rolbypassrls
        FROM pg_catalog.pg_roles WHERE rolname = 'llm_owner'
    ),
    FALSE, 'it cannot log in, make roles or databases, or pass by row-level security');

SELECT * FROM finish();
ROLLBACK;
