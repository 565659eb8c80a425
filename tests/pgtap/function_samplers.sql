BEGIN;
SELECT plan(5);

SELECT results_eq(
    $$SELECT s.name FROM llm.samplers() AS s WHERE s.given_as = 'argument'$$,
    ARRAY['repeat_penalty', 'temperature', 'top_k', 'top_p', 'min_p'],
    'samplers with an argument of their own come in the order in which they apply');
SELECT results_eq(
    $$SELECT s.type, s.smallest, s.largest, s.neutral FROM llm.samplers() AS s WHERE s.name = 'top_k'$$,
    $$VALUES ('integer', 0::numeric, 2147483647::numeric, 0::numeric)$$,
    'a row tells the range and the neutral value');
SELECT is_empty(
    $$SELECT s.name FROM llm.samplers() AS s WHERE s.neutral NOT BETWEEN s.smallest AND s.largest$$,
    'each neutral value is in its range');
SELECT is_empty(
    $$SELECT s.name FROM llm.samplers() AS s
    WHERE s.given_as = 'option'
        AND llm.sample(llm.bytes(ARRAY[1, 3, 2]), options => jsonb_build_object(s.name, s.neutral)) <> 1$$,
    'llm.sample takes every option at its neutral value');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.samplers()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
