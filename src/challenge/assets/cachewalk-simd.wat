;; cachewalk-1 with SIMD128, for the 4096 rounds that challenges have: while one nonce is walked, the state of the next
;; is filled, one group of eight words per round. A walk waits for memory most of its time, so the fill costs little.
;;
;; It shares the memory and the SHA-256 of cachewalk.wat, which tells the places.
(module
  (memory (import "" "memory") 5)
  (func $compress (import "" "compress") (param i32))

  ;; Walks the state at 0x20000 from the lanes at +960, which end in the block of the end. At once fills the state at 0
  ;; from the last digest, and leaves the lanes of its walk at +960. Where $odd, with the states exchanged.
  ;; A function of its own, since compilers keep the lanes in registers only where there is little else. Two loops,
  ;; since a base to add to each address would lengthen each step.
  (func $both (param $odd i32)
    (local $tables i32) (local $golden i32) (local $mask i32) (local $p i32) (local $j i32) (local $t i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local $low v128) (local $high v128) (local $goldens v128) (local $i v128) (local $eight v128)
    (local.set $tables (i32.const 0x40000))
    (local.set $golden (i32.const 0x9e3779b1))
    (local.set $mask (i32.const 0x1fffc))
    (local.set $goldens (i32x4.splat (local.get $golden)))
    (local.set $eight (v128.const i32x4 8 0 0 0))
    (local.set $low (v128.load offset=32 (local.get $tables)))
    (local.set $high (v128.load offset=48 (local.get $tables)))
    (local.set $a (i32.load offset=960 (local.get $tables)))
    (local.set $b (i32.load offset=964 (local.get $tables)))
    (local.set $c (i32.load offset=968 (local.get $tables)))
    (local.set $d (i32.load offset=972 (local.get $tables)))
    (local.set $e (i32.load offset=976 (local.get $tables)))
    (local.set $f (i32.load offset=980 (local.get $tables)))
    (local.set $g (i32.load offset=984 (local.get $tables)))
    (local.set $h (i32.load offset=988 (local.get $tables)))
    (if (local.get $odd)
      (then (loop $go
        (local.set $low (i32x4.add (local.get $low) (local.get $i)))
        (local.set $i (i32x4.add (local.get $i) (local.get $eight)))
        (v128.store offset=131072 (local.get $p) (local.tee $low (i32x4.add
          (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 (local.get $low) (local.get $high))
          (i32x4.mul (local.get $goldens)
            (v128.or (i32x4.shl (local.get $low) (i32.const 13)) (i32x4.shr_u (local.get $low) (i32.const 19)))))))
        (v128.store offset=131088 (local.get $p) (local.tee $high (i32x4.add
          (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 (local.get $high) (local.get $low))
          (i32x4.mul (local.get $goldens)
            (v128.or (i32x4.shl (local.get $high) (i32.const 13)) (i32x4.shr_u (local.get $high) (i32.const 19)))))))
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
        (br_if $go (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 32))) (i32.const 0x20000)))))
      (else (loop $go
        (local.set $low (i32x4.add (local.get $low) (local.get $i)))
        (local.set $i (i32x4.add (local.get $i) (local.get $eight)))
        (v128.store (local.get $p) (local.tee $low (i32x4.add
          (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 (local.get $low) (local.get $high))
          (i32x4.mul (local.get $goldens)
            (v128.or (i32x4.shl (local.get $low) (i32.const 13)) (i32x4.shr_u (local.get $low) (i32.const 19)))))))
        (v128.store offset=16 (local.get $p) (local.tee $high (i32x4.add
          (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 (local.get $high) (local.get $low))
          (i32x4.mul (local.get $goldens)
            (v128.or (i32x4.shl (local.get $high) (i32.const 13)) (i32x4.shr_u (local.get $high) (i32.const 19)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $a) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $a (i32.add (local.get $b)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $a) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $b) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $b (i32.add (local.get $c)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $b) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $c) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $c (i32.add (local.get $d)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $c) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $d) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $d (i32.add (local.get $e)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $d) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $e) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $e (i32.add (local.get $f)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $e) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $f) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $f (i32.add (local.get $g)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $f) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $g) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $g (i32.add (local.get $h)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $g) (local.get $t)) (i32.const 13)))))))
        (local.set $t (i32.load offset=131072 (local.tee $j
          (i32.and (local.get $mask) (i32.shr_u (local.get $h) (i32.const 15))))))
        (i32.store offset=131072 (local.get $j) (i32.xor (local.get $t) (local.tee $h (i32.add (local.get $a)
          (i32.mul (local.get $golden) (i32.rotl (i32.xor (local.get $h) (local.get $t)) (i32.const 13)))))))
        (br_if $go (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 32))) (i32.const 0x20000))))))
    (i32.store offset=640 (local.get $tables) (local.get $a))
    (i32.store offset=644 (local.get $tables) (local.get $b))
    (i32.store offset=648 (local.get $tables) (local.get $c))
    (i32.store offset=652 (local.get $tables) (local.get $d))
    (i32.store offset=656 (local.get $tables) (local.get $e))
    (i32.store offset=660 (local.get $tables) (local.get $f))
    (i32.store offset=664 (local.get $tables) (local.get $g))
    (i32.store offset=668 (local.get $tables) (local.get $h))
    (v128.store offset=960 (local.get $tables) (local.get $low))
    (v128.store offset=976 (local.get $tables) (local.get $high)))

  ;; As in cachewalk.wat. The first walk has no nonce, and the last fill is of one more than is asked for.
  (func (export "search")
    (param $nonce i32) (param $step i32) (param $count i32) (param $rounds i32) (param $most i32) (result i32)
    (local $found i32) (local $n i32)
    (loop $next
      (i32.store offset=0x40160 (i32.const 0) (local.get $nonce))
      (call $compress (i32.const 0x40140))
      (call $both (i32.and (local.get $n) (i32.const 1)))
      (call $compress (i32.const 0x40280))
      (if (i32.and
        (i32.le_u (i32.load offset=0x40020 (i32.const 0)) (local.get $most))
        (i32.ne (local.get $n) (i32.const 0))) (then
        (i32.store offset=0x40400 (local.get $found) (i32.sub (local.get $nonce) (local.get $step)))
        (local.set $found (i32.add (local.get $found) (i32.const 4)))))
      (local.set $nonce (i32.add (local.get $nonce) (local.get $step)))
      (br_if $next (i32.le_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (local.get $count))))
    (i32.shr_u (local.get $found) (i32.const 2))))
