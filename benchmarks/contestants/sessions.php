<?php
// Each line of input is a list: operation, keys, data, how often. The answer
// is one too: seconds, and the keys that were made or the data.
ini_set('session.use_cookies', '0');
ini_set('session.use_only_cookies', '0');
ini_set('session.use_strict_mode', '0');
ini_set('session.cache_limiter', '');
ini_set('session.gc_probability', '0');

while (($line = fgets(STDIN)) !== false) {
    [$operation, $keys, $data, $times] = json_decode($line, true);
    $made = [];
    $count = count($keys);
    $started = hrtime(true);
    for ($i = 0; $i < $times; $i++) {
        if ($operation === 'new') {
            $id = session_create_id();
            session_id($id);
            session_start();
            $_SESSION = $data;
            session_write_close();
            $made[] = $id;
            continue;
        }
        session_id($keys[$i % $count]);
        if ($operation === 'retrieve' || $operation === 'get') {
            session_start(['read_and_close' => true]);
            if ($operation === 'get') {
                $made = $_SESSION;
            }
        } elseif ($operation === 'cycle') {
            session_start();
            $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
            session_write_close();
        } else {
            session_start();
            session_destroy();
        }
    }
    $seconds = (hrtime(true) - $started) / 1e9;
    fwrite(STDOUT, json_encode([$seconds, $made]) . "\n");
}
