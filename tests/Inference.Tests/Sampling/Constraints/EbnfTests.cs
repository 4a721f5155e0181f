using System.Text;
using CsCheck;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

public class EbnfTests
{
    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    private const string Arithmetic = """
        # sums of products
        root  ::= sum
        sum   ::= product (("+" | "-") product)*
        product ::= factor ("*" factor)*   # binds closer
        factor ::= [0-9]+ | "(" sum ")"
        """;

    private const string Sql = """
        root ::= select_statement
        select_statement ::= "SELECT " column " from " table " where " condition
        column ::= "col_1 " | "col_2 "
        table ::= "table_1 " | "table_2 "
        condition ::= column "= " number
        number ::= "1 " | "2 "
        """;

    [Theory]
    [InlineData(Arithmetic, "1+(2*34-(5))*6", true)]
    [InlineData(Arithmetic, "((((1))))", true)]
    [InlineData(Arithmetic, "1+", false)]
    [InlineData(Arithmetic, "(1", false)]
    [InlineData(Arithmetic, "1)", false)]
    [InlineData(Sql, "SELECT col_1  from table_2  where col_1 = 1 ", true)]
    [InlineData(Sql, "SELECT col_3  from table_2  where col_1 = 1 ", false)]
    [InlineData("root ::= \"a\" root \"b\" | \"\"", "aaabbb", true)]
    [InlineData("root ::= \"a\" root \"b\" | \"\"", "aaabb", false)]
    [InlineData("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"x\"", "aaaaxbcbc", true)]
    [InlineData("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"x\"", "aaaxbcbc", false)]
    [InlineData("root ::= root \"+\" term | root \"-\" term | term\nterm ::= [0-9]", "1+2-3", true)]
    [InlineData("root ::= root \"+\" term | root \"-\" term | term\nterm ::= [0-9]", "1+2-", false)]
    [InlineData("root ::= [a-cé\\u20ac] . [^\\n\\]x-] 'y'{2,3}", "é\nzyy", true)]
    [InlineData("root ::= [a-cé\\u20ac] . [^\\n\\]x-] 'y'{2,3}", "€€\nyyy", false)]
    [InlineData("root ::= [a-cé\\u20ac] . [^\\n\\]x-] 'y'{2,3}", "dzzyy", false)]
    [InlineData("root ::= (\"a\" |\n \"b\"\n)+ \"\\x21\\U0001F600\"", "ab!😀", true)]
    [InlineData("root ::= \"a\"{,2}", "a", null)]
    [InlineData("root::=x\n\n\nx::=\"a\" # done", "a", true)]
    [InlineData("a-b ::= \"1\"\nroot ::= a-b a-b", "11", true)]
    public void Members_and_strangers(string grammar, string text, bool? member)
    {
        if (member is null)
            Assert.Throws<ConstraintException>(() => Compile(grammar));
        else
            Assert.Equal(member, Accepts(Compile(grammar), text));
    }

    [Fact]
    public void A_text_is_complete_exactly_when_the_grammar_derives_it() =>
        Gen.Select(RandomGrammar.Any, Gen.Char["abé("].Array[0, 7].Select(c => new string(c)).Array[12]).Sample((rules, texts) =>
        {
            var written = RandomGrammar.Write(rules);
            Grammar grammar;
            try
            {
                grammar = Compile(written);
            }
            catch (ConstraintException e) when (e.Message.Contains("left-recursive", StringComparison.Ordinal) || e.Message.Contains("no text satisfies", StringComparison.Ordinal))
            {
                return;
            }

            Assert.All(texts, text => Assert.True(RandomGrammar.Derives(rules, text) == Accepts(grammar, text), $"'{text}' in\n{written}"));
        }, iter: 600);

    [Fact]
    public void Random_walks_stay_within_the_grammar()
    {
        var masks = new TokenMasks(Compile(Arithmetic), Arrows);
        var grammar = Compile(Arithmetic);
        var texts = Enumerable.Range(0, 20).Select(seed => RandomWalk.Text(masks, Arrows, seed)).OfType<string>().ToArray();
        Assert.True(texts.Length > 10, $"only {texts.Length} walks ended");
        Assert.All(texts, text => Assert.True(Accepts(grammar, text), text));
    }

    [Theory]
    [InlineData("", "no rule 'root'")]
    [InlineData("start: \"a\"", "line 1, column 6: expected '::=' after the rule name 'start', found ':'")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: the rule 'root' is defined twice")]
    [InlineData("root ::= a b\na ::= \"x\"", "line 1, column 12: the rule 'b' is used but not defined")]
    [InlineData("root ::= \"a", "line 1, column 10: a literal that is not closed")]
    [InlineData("root ::= (\"a\"\n", "line 1, column 10: a group ( that is not closed")]
    [InlineData("root ::= \"a\")", "line 1, column 13: a ) that closes nothing")]
    [InlineData("root ::=\n  [a", "line 2, column 3: a class [ that is not closed")]
    [InlineData("root ::= [b-a]", "line 1, column 11: a range whose ends are in the wrong order")]
    [InlineData("root ::= []", "line 1, column 10: an empty class")]
    [InlineData("root ::= \"\\q\"", "line 1, column 11: an unknown escape \\q")]
    [InlineData("root ::= \"\\ud800\"", "an escape that is no character")]
    [InlineData("root ::= \"a\"{3,1}", "line 1, column 13: a broken quantifier")]
    [InlineData("root ::= * \"a\"", "line 1, column 10: expected a literal, a class, a group or a rule name, found '*'")]
    [InlineData("root ::= \"a\" (=\"b\")", "line 1, column 14: a lookahead cannot be enforced")]
    [InlineData("root ::= <[1000]>", "found '<'")]
    [InlineData("root ::= a\na ::= b \"x\"\nb ::= a \"y\" | \"z\"", "is left-recursive")]
    [InlineData("root ::= x? root \"a\" | \"b\"\nx ::= \"x\"", "the rule 'root' is left-recursive")]
    [InlineData("root ::= \"(\" root \")\"", "no text satisfies it")]
    [InlineData("root ::= \"a\"{200000}", "too large")]
    public void What_cannot_be_enforced_is_named_with_its_place(string grammar, string named) =>
        Assert.Contains(named, Assert.Throws<ConstraintException>(() => Compile(grammar)).Message, StringComparison.Ordinal);

    private static Grammar Compile(string grammar) => new OutputConstraint(OutputConstraint.Form.Grammar, grammar).Compile();

    private static bool Accepts(Grammar grammar, string text)
    {
        var automaton = new PushdownAutomaton(grammar, 1 << 20);
        var at = automaton.Start;
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            at = automaton.Next(at, value);
            if (at is null)
                return false;
        }

        return at.Accepts;
    }
}
