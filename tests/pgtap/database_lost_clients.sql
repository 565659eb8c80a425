BEGIN;
SELECT plan(1);

SELECT isnt(
    current_setting('client_connection_check_interval'), '0', 'the server looks for clients that are gone'
);

SELECT * FROM finish();
ROLLBACK;
