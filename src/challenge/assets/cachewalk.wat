;; cachewalk-1 for every browser with WebAssembly: many nonces in one call, SHA-256 at both ends included.
;;
;; The caller knows the constants of SHA-256 and writes them down before the first call. Places, in bytes:
;;   0x00000  the state, 128 KiB
;;   0x20000  another state, for cachewalk-simd.wat
;;   0x40000  tables:    +0  first digest, 8 words      +32  last digest, 8 words      +64  round constants, 64 words
;;                     +320  block of the seed: 8 words of seed, the nonce, and the padding of 28 bytes; 80 words with
;;                           the message schedule
;;                     +640  block of the end: 8 words of lanes, and the padding of 32 bytes; 80 words likewise
;;                     +960  lanes of a walk to come, for cachewalk-simd.wat
;;                    +1024  nonces found
(module
  (memory (export "memory") 5)

  ;; The digest of the block at $w, of a message that has only this one.
  (func $compress (export "compress") (param $w i32)
    (local $tables i32) (local $i i32) (local $s i32) (local $t i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local.set $tables (i32.const 0x40000))
    (local.set $i (local.get $tables))
    (local.set $a (i32.load offset=0 (local.get $tables)))
    (local.set $b (i32.load offset=4 (local.get $tables)))
    (local.set $c (i32.load offset=8 (local.get $tables)))
    (local.set $d (i32.load offset=12 (local.get $tables)))
    (local.set $e (i32.load offset=16 (local.get $tables)))
    (local.set $f (i32.load offset=20 (local.get $tables)))
    (local.set $g (i32.load offset=24 (local.get $tables)))
    (local.set $h (i32.load offset=28 (local.get $tables)))
    (loop $round
      ;; Sixteen words ahead. The last sixteen are of no use, and leaving them out would take more than making them.
      (local.set $s (i32.load offset=4 (local.get $w)))
      (local.set $t (i32.load offset=56 (local.get $w)))
      (i32.store offset=64 (local.get $w) (i32.add
        (i32.add (i32.load (local.get $w)) (i32.load offset=36 (local.get $w)))
        (i32.add
          (i32.xor (i32.shr_u (local.get $s) (i32.const 3))
            (i32.xor (i32.rotr (local.get $s) (i32.const 7)) (i32.rotr (local.get $s) (i32.const 18))))
          (i32.xor (i32.shr_u (local.get $t) (i32.const 10))
            (i32.xor (i32.rotr (local.get $t) (i32.const 17)) (i32.rotr (local.get $t) (i32.const 19)))))))
      (local.set $s (i32.add
        (i32.add (i32.add (local.get $h) (i32.load (local.get $w))) (i32.load offset=64 (local.get $i)))
        (i32.add
          (i32.xor (local.get $g) (i32.and (local.get $e) (i32.xor (local.get $f) (local.get $g))))
          (i32.xor (i32.rotr (local.get $e) (i32.const 6))
            (i32.xor (i32.rotr (local.get $e) (i32.const 11)) (i32.rotr (local.get $e) (i32.const 25)))))))
      (local.set $t (i32.add
        (i32.or (i32.and (local.get $a) (local.get $b)) (i32.and (local.get $c) (i32.or (local.get $a) (local.get $b))))
        (i32.xor (i32.rotr (local.get $a) (i32.const 2))
          (i32.xor (i32.rotr (local.get $a) (i32.const 13)) (i32.rotr (local.get $a) (i32.const 22))))))
      (local.set $h (local.get $g))
      (local.set $g (local.get $f))
      (local.set $f (local.get $e))
      (local.set $e (i32.add (local.get $d) (local.get $s)))
      (local.set $d (local.get $c))
      (local.set $c (local.get $b))
      (local.set $b (local.get $a))
      (local.set $a (i32.add (local.get $s) (local.get $t)))
      (local.set $w (i32.add (local.get $w) (i32.const 4)))
      (br_if $round (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 0x40100))))
    (i32.store offset=32 (local.get $tables) (i32.add (local.get $a) (i32.load (local.get $tables))))
    (i32.store offset=36 (local.get $tables) (i32.add (local.get $b) (i32.load offset=4 (local.get $tables))))
    (i32.store offset=40 (local.get $tables) (i32.add (local.get $c) (i32.load offset=8 (local.get $tables))))
    (i32.store offset=44 (local.get $tables) (i32.add (local.get $d) (i32.load offset=12 (local.get $tables))))
    (i32.store offset=48 (local.get $tables) (i32.add (local.get $e) (i32.load offset=16 (local.get $tables))))
    (i32.store offset=52 (local.get $tables) (i32.add (local.get $f) (i32.load offset=20 (local.get $tables))))
    (i32.store offset=56 (local.get $tables) (i32.add (local.get $g) (i32.load offset=24 (local.get $tables))))
    (i32.store offset=60 (local.get $tables) (i32.add (local.get $h) (i32.load offset=28 (local.get $tables)))))

  ;; The result for one nonce.
  (func $trial (param $nonce i32) (param $rounds i32) (result i32)
    (local $tables i32) (local $golden i32) (local $mask i32) (local $p i32) (local $j i32) (local $t i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local.set $tables (i32.const 0x40000))
    (local.set $golden (i32.const 0x9e3779b1))
    (local.set $mask (i32.const 0x1fffc))
    (i32.store offset=352 (local.get $tables) (local.get $nonce))
    (call $compress (i32.const 0x40140))
    (local.set $a (i32.load offset=32 (local.get $tables)))
    (local.set $b (i32.load offset=36 (local.get $tables)))
    (local.set $c (i32.load offset=40 (local.get $tables)))
    (local.set $d (i32.load offset=44 (local.get $tables)))
    (local.set $e (i32.load offset=48 (local.get $tables)))
    (local.set $f (i32.load offset=52 (local.get $tables)))
    (local.set $g (i32.load offset=56 (local.get $tables)))
    (local.set $h (i32.load offset=60 (local.get $tables)))
    (loop $fill
      (local.set $a (i32.add (local.get $a) (i32.shr_u (local.get $p) (i32.const 2))))
      (i32.store (local.get $p) (local.tee $a
        (i32.add (i32.mul (i32.rotl (local.get $a) (i32.const 13)) (local.get $golden)) (local.get $b))))
      (i32.store offset=4 (local.get $p) (local.tee $b
        (i32.add (i32.mul (i32.rotl (local.get $b) (i32.const 13)) (local.get $golden)) (local.get $c))))
      (i32.store offset=8 (local.get $p) (local.tee $c
        (i32.add (i32.mul (i32.rotl (local.get $c) (i32.const 13)) (local.get $golden)) (local.get $d))))
      (i32.store offset=12 (local.get $p) (local.tee $d
        (i32.add (i32.mul (i32.rotl (local.get $d) (i32.const 13)) (local.get $golden)) (local.get $e))))
      (i32.store offset=16 (local.get $p) (local.tee $e
        (i32.add (i32.mul (i32.rotl (local.get $e) (i32.const 13)) (local.get $golden)) (local.get $f))))
      (i32.store offset=20 (local.get $p) (local.tee $f
        (i32.add (i32.mul (i32.rotl (local.get $f) (i32.const 13)) (local.get $golden)) (local.get $g))))
      (i32.store offset=24 (local.get $p) (local.tee $g
        (i32.add (i32.mul (i32.rotl (local.get $g) (i32.const 13)) (local.get $golden)) (local.get $h))))
      (i32.store offset=28 (local.get $p) (local.tee $h
        (i32.add (i32.mul (i32.rotl (local.get $h) (i32.const 13)) (local.get $golden)) (local.get $a))))
      (br_if $fill (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 32))) (i32.const 0x20000))))
    (loop $walk
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $a) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $a (i32.add (local.get $b)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $a) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $b) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $b (i32.add (local.get $c)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $b) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $c) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $c (i32.add (local.get $d)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $c) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $d) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $d (i32.add (local.get $e)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $d) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $e) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $e (i32.add (local.get $f)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $e) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $f) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $f (i32.add (local.get $g)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $f) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $g) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $g (i32.add (local.get $h)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $g) (local.get $t)) (i32.const 13)))))))
      (local.set $t (i32.load (local.tee $j
        (i32.and (local.get $mask) (i32.shr_u (local.get $h) (i32.const 15))))))
      (i32.store (local.get $j) (i32.xor (local.get $t) (local.tee $h (i32.add (local.get $a)
        (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $h) (local.get $t)) (i32.const 13)))))))
      (br_if $walk (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.store offset=640 (local.get $tables) (local.get $a))
    (i32.store offset=644 (local.get $tables) (local.get $b))
    (i32.store offset=648 (local.get $tables) (local.get $c))
    (i32.store offset=652 (local.get $tables) (local.get $d))
    (i32.store offset=656 (local.get $tables) (local.get $e))
    (i32.store offset=660 (local.get $tables) (local.get $f))
    (i32.store offset=664 (local.get $tables) (local.get $g))
    (i32.store offset=668 (local.get $tables) (local.get $h))
    (call $compress (i32.const 0x40280))
    (i32.load offset=32 (local.get $tables)))

  ;; Tries $count nonces from $nonce on, each $step further, and writes those down whose result is at most $most. Their
  ;; number.
  (func (export "search")
    (param $nonce i32) (param $step i32) (param $count i32) (param $rounds i32) (param $most i32) (result i32)
    (local $found i32)
    (loop $next
      (if (i32.le_u (call $trial (local.get $nonce) (local.get $rounds)) (local.get $most)) (then
        (i32.store offset=0x40400 (local.get $found) (local.get $nonce))
        (local.set $found (i32.add (local.get $found) (i32.const 4)))))
      (local.set $nonce (i32.add (local.get $nonce) (local.get $step)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.shr_u (local.get $found) (i32.const 2))))
