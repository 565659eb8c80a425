BEGIN;
SELECT plan(3);

SELECT throws_ok(
    'SELECT llm_runtime.check_prompt(67108865, NULL)',
    '53400', 'llm: the prompt is above the limit text_mb', 'a prompt of more than 64 MB is an error'
);
SELECT throws_ok(
    $$SELECT llm_runtime.check_prompt(1, 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error'
);

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.check_prompt(1, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
