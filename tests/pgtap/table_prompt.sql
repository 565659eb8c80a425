BEGIN;
SELECT plan(4);

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$INSERT INTO llm_store.prompt (task, version, template) VALUES ('t', 1, 'a')$$, 'a loader adds a version');
SELECT is((SELECT author FROM llm_store.prompt WHERE task = 't'), 'ann', 'which has its name');
SELECT throws_ok(
    $$INSERT INTO llm_store.prompt (task, version, template, author) VALUES ('t', 2, 'a', 'bob')$$,
    '42501', NULL, 'not that of another');
SELECT throws_ok($$UPDATE llm_store.prompt SET template = 'b'$$, '42501', NULL, 'and nobody changes a version');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
