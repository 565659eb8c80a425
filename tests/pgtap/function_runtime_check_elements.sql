BEGIN;
SELECT plan(8);

SELECT ok(llm_runtime.check_elements(1000000, 'x'), 'a million elements are allowed');
SELECT throws_ok(
    $$SELECT llm_runtime.check_elements(1000001, 'x')$$,
    '53400', 'llm: the number of elements of x is above the limit elements', 'one more is an error'
);
SELECT ok(llm_runtime.check_elements(NULL, 'x'), 'NULL is allowed');
SELECT ok(llm_runtime.check_texts('{a, NULL}', 'x'), 'a few texts are allowed, NULL among them');
SELECT throws_ok(
    $$SELECT llm_runtime.check_texts(array_fill(''::text, '{1000001}'), 'x')$$,
    '53400', 'llm: the number of elements of x is above the limit elements', 'too many texts are an error'
);
SELECT throws_ok(
    $$SELECT llm_runtime.check_texts(ARRAY[NULL, repeat('a', 67108865)], 'x')$$,
    '53400', 'llm: x is above the limit text_mb', 'texts of more than 64 MB together are an error'
);

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm_runtime.check_elements(1, 'x')$$, '42501', NULL, 'a role without rights may not');
SELECT throws_ok($$SELECT llm_runtime.check_texts('{a}', 'x')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
