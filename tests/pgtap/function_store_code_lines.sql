BEGIN;
SELECT plan(2);

SELECT is_empty(
    $$SELECT l.type FROM llm_store.code_lines() AS l GROUP BY l.type, l.log_bits
    HAVING (min(l.first_code), max(l.last_code)) <> (0, (1 << (1 << l.log_bits)) - 1)
    OR sum(l.last_code - l.first_code + 1) <> 1 << (1 << l.log_bits)$$,
    'the lines of an encoding have each of its codes once');
SELECT is_empty(
    $$SELECT l.type FROM llm_store.code_lines() AS l
    CROSS JOIN LATERAL generate_series(l.first_code, l.last_code) AS c (code)
    GROUP BY l.type, l.log_bits
    HAVING count(DISTINCT l.intercept + l.slope * c.code) <> 1 << (1 << l.log_bits)
    OR min(l.intercept + l.slope * c.code) <> 0 OR max(l.intercept + l.slope * c.code) <> (1 << (1 << l.log_bits)) - 1$$,
    'and each place among the values once');

SELECT * FROM finish();
ROLLBACK;
