BEGIN;
SELECT plan(11);

SELECT ok(llm.sample(NULL) IS NULL, 'NULL gives NULL');
SELECT is(llm.sample(llm.bytes(ARRAY[1, 3, 2])), 1, 'greedy takes the largest');
SELECT is(llm.sample(llm.bytes(ARRAY[1, 3, 3])), 1, 'of equals the lower id');
SELECT is(
    llm.sample(llm.bytes(ARRAY[1, 3, 2]), repeat_penalty => 2, history => ARRAY[1]),
    2,
    'a token that is there already is less likely');
SELECT is(llm.sample(llm.bytes(ARRAY[1, 3, 2]), 1, top_k => 1, seed => 1), 1, 'of one token there is one choice');
SELECT is(
    (
        SELECT count(DISTINCT llm.sample(llm.bytes(ARRAY[0, 0]), 1, seed => 7, next_position => 3))
        FROM generate_series(1, 20)
    ),
    1::bigint,
    'the same seed and position draw the same');
SELECT is(
    (
        SELECT count(DISTINCT llm.sample(llm.bytes(ARRAY[0, 0]), 1, seed => 7, next_position => p))
        FROM generate_series(1, 20) AS p
    ),
    2::bigint,
    'other positions draw anew');
SELECT throws_ok(
    $$SELECT llm.sample('\x0000c07f')$$,
    'XX001', NULL, 'NaN is no logit');
SELECT throws_ok(
    $$SELECT llm.sample('\x00000000', temperature => -1)$$,
    '22023', NULL, 'a temperature below 0 is an error');
SELECT throws_ok(
    $$SELECT llm.sample('\x00000000', options => '{"echo": true}')$$,
    '22023', 'llm: unknown option "echo"', 'its options are samplers');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.sample(NULL::bytea)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
