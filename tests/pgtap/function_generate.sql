BEGIN;
SELECT plan(11);

SELECT ok(llm.generate(NULL) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.generate('a', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.generate('a', temperature => -1)$$,
    '22023', NULL, 'a temperature below 0 is an error');
SELECT throws_ok(
    $$SELECT llm.generate('a', top_p => 'NaN')$$,
    '22023', NULL, 'NaN is no probability');
SELECT throws_ok(
    $$SELECT llm.generate('a', max_tokens => -1)$$,
    '22023', NULL, 'a negative number of tokens is an error');
SELECT throws_ok(
    $$SELECT llm.generate('a', stop => ARRAY[''])$$,
    '22023', NULL, 'an empty stop string is an error');
SELECT throws_ok(
    $$SELECT llm.generate('a', options => '{"ecco": true}')$$,
    '22023', 'llm: unknown option "ecco"', 'an unknown option is an error');

SELECT throws_ok(
    $$SELECT llm.generate('a', options => '{"draft": 3}')$$,
    '22023', 'llm: argument options.draft does not fit', 'a draft is named by a string');
SELECT throws_ok(
    $$SELECT llm.generate('a', options => '{"draft": "small", "guess": 17}')$$,
    '22023', 'llm: options.guess is out of range', 'a draft guesses 16 tokens at most');
SELECT matches(
    obj_description('llm.generate'::regproc), 'draft \(none: the name of a model that guesses too\)',
    'the comment says what a draft is');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.generate(NULL::text)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
