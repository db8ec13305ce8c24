(* SPDX-License-Identifier: Apache-2.0 *)
(* Runs a Standard ML program: declarations one after the other, as `poly --script` does, but without
 * a word about what they are; what is wrong goes to standard error, and exit codes are a program's.
 * images/ocaml/customize makes /usr/lib/holm/sml of this.
 *
 * Poly/ML takes only ASCII in strings. Bytes of other characters are handed to it as the escapes of
 * decimal digits that they would have had to be written as; outside of strings they are in comments,
 * or wrong in any case. *)

structure Holm =
struct
  val arguments = CommandLine.arguments

  fun say text = TextIO.output (TextIO.stdErr, text)

  fun complain file {message, hard, location : PolyML.location, context = _} =
    (say (concat [file, ":", FixedInt.toString (#startLine location), ": ",
                  if hard then "error: " else "warning: "]);
     PolyML.prettyPrint (say, 100) message)

  (* The program's characters, as described above. *)
  fun reader source line =
    let
      val escape = ref ([] : char list)
      fun read NONE = NONE
        | read (SOME c) =
            if c = #"\n" then (line := !line + 1; SOME c)
            else if ord c < 128 then SOME c
            else (escape := explode (StringCvt.padLeft #"0" 3 (Int.toString (ord c))); SOME #"\\")
    in
      fn () =>
        case !escape of
          c :: rest => (escape := rest; SOME c)
        | [] => read (TextIO.input1 source)
    end

  fun run file =
    let
      open PolyML.Compiler
      val source = TextIO.openIn file
      val line = ref (1 : FixedInt.int)
      val next = reader source line
      val settings =
        [CPErrorMessageProc (complain file), CPOutStream ignore, CPFileName file,
         CPLineNo (fn () => !line)]
      fun declarations () =
        if TextIO.endOfStream source then ()
        else (PolyML.compiler (next, settings) (); declarations ())
    in
      declarations ()
    end

  fun main () =
    (run (hd (arguments ())); OS.Process.exit OS.Process.success)
    handle Fail "Static Errors" => OS.Process.exit OS.Process.failure
         | error =>
             (say (concat ["uncaught exception ", exnMessage error, "\n"]);
              OS.Process.exit OS.Process.failure)
end;

structure CommandLine : COMMAND_LINE =
struct
  fun name () = hd (Holm.arguments ())
  fun arguments () = tl (Holm.arguments ())
end;

val main = Holm.main;
PolyML.Compiler.forgetStructure "Holm";
PolyML.export ("/tmp/sml", main);
