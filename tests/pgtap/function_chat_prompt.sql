BEGIN;
SELECT plan(3);

SELECT is(llm.chat_prompt(NULL), NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.chat_prompt('[]')$$, '22023', NULL, 'an empty conversation is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.chat_prompt(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
