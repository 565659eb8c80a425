BEGIN;
SELECT plan(3);

SELECT has_role('llm_loader', 'the role is there');
SELECT ok(pg_has_role('llm_loader', 'llm_user', 'USAGE'), 'a loader may do what a user may');
SELECT ok(NOT pg_has_role('llm_loader', 'llm_owner', 'USAGE'), 'but not what the owner may');

SELECT * FROM finish();
ROLLBACK;
