BEGIN;
SELECT plan(6);

\ir own_model.psql

SELECT llm.fork('tiny', 'other') AS id \gset
SELECT llm.set_tensor('other', 'output_norm.weight', llm.bytes(ARRAY[3, 5])) AS error \gset
SELECT is(llm.merge(ARRAY['tiny', 'other'], 'mean'), 0::double precision, 'small integers are exact');
SELECT is(pg_temp.content('mean', 'output_norm.weight'), llm.bytes(ARRAY[2, 3]), 'of 1 1 and 3 5 the mean is 2 3');
SELECT llm.merge(
    ARRAY['other', 'other'], 'more', method => 'task_arithmetic', base => 'tiny') AS error \gset
SELECT is(
    pg_temp.content('more', 'output_norm.weight'), llm.bytes(ARRAY[5, 9]),
    'what was learned twice, 2 4, is added twice');
SELECT results_eq(
    $$SELECT operation, parents FROM llm.history('more')$$, $$VALUES ('merge', ARRAY['other', 'other', 'tiny'])$$,
    'the history names the parents');
SELECT throws_ok(
    $$SELECT llm.merge(ARRAY['tiny'], 'x', method => 'slerp')$$,
    '22023', 'llm: slerp merges two models', 'an arc has two ends');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.merge(ARRAY['tiny'], 'mine')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
