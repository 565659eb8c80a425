BEGIN;
SELECT plan(9);

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT is(llm.set_prompt('rate', '{text} {criterion} {{x}}'), 1, 'a loader sets a prompt');
SELECT is(llm.set_prompt('rate', '{criterion}: {text}'), 2, 'and another');
SELECT results_eq(
    $$SELECT version, template, author FROM llm.prompts WHERE task = 'rate' AND is_current$$,
    $$VALUES (2, '{criterion}: {text}', 'ann')$$, 'the newest counts');
SELECT is(llm.set_prompt('rate'), 3, 'NULL is the first prompt');
SELECT is(
    (SELECT count(DISTINCT template) FROM llm.prompts WHERE task = 'rate' AND version IN (0, 3)), 1::bigint,
    'as a new version');
SELECT throws_ok(
    $$SELECT llm.set_prompt('rate', '{text}')$$,
    '22023', 'llm: the template of rate lacks {criterion}', 'a place that is missing is named');
SELECT throws_ok(
    $$SELECT llm.set_prompt('rate', '{text} {criterion} {label}')$$,
    '22023', 'llm: the template of rate has the unknown place {label}', 'so is one that is unknown');
SELECT throws_ok($$SELECT llm.set_prompt('rates', '')$$, '22023', NULL, 'a task that is unknown is an error');
RESET ROLE;
CREATE ROLE bob IN ROLE llm_user;
SET LOCAL ROLE bob;
SELECT throws_ok($$SELECT llm.set_prompt('rate')$$, '42501', NULL, 'a user sets none');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
