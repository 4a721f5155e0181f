using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>What costs a naive implementation unbounded time or memory is served or refused for a bounded price.</summary>
public class HostileConstraintTests
{
    private const int MostNodes = 1 << 17;
    private const long MostBytes = 200_000_000;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    /// <summary>Every one of the rest is served.</summary>
    private static readonly Dictionary<string, string> Refusals = new()
    {
        ["regex a{0,100000}"] = "too large",
        ["choice of 60,000 texts"] = "too large",
        ["schema, objects 90 deep"] = "at most 63 levels",
        ["schema, arrays 90 deep"] = "at most 63 levels",
        ["schema, enum of 50,000"] = "too large",
        ["schema, maxItems 100000"] = "too large",
        ["schema, 20,000 levels of brackets"] = "nests more than",
        ["schema, $ref to itself"] = "left-recursive",
        ["schema, $ref circle"] = "left-recursive",
        ["schema, $ref with anyOf of itself"] = "left-recursive",
        ["schema, oneOf of 200 objects with 200 constants"] = "too many steps",
        ["schema, 3,000 oneOf of two large objects"] = "too large",
        ["schema, patternProperties"] = "'patternProperties' at # cannot be enforced",
        ["grammar, indirect left recursion"] = "left-recursive",
        ["grammar, nullable circle"] = "left-recursive",
        ["grammar, 20,000 rules in a chain"] = "at most 200000 are read",
    };

    public static TheoryData<string> Names => [.. HostileConstraints.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_hostile_constraint_is_served_or_refused_for_a_bounded_price(string name)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        Grammar? grammar = null;
        try
        {
            grammar = HostileConstraints.All[name].Compile(TestContext.Current.CancellationToken);
            Assert.False(Refusals.ContainsKey(name), "it was served");
        }
        catch (ConstraintException refused)
        {
            Assert.Contains(Refusals.GetValueOrDefault(name, "(it should have been served)"), refused.Message, StringComparison.Ordinal);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
        if (grammar is null)
            return;
        Assert.InRange(grammar.Nodes.Length, 1, MostNodes);
        Walk(new TokenMasks(grammar, Arrows));
    }

    [Fact]
    public void Compiling_can_be_given_up()
    {
        using var given = new CancellationTokenSource();
        given.Cancel();
        Assert.All(HostileConstraints.All.Where(c => !Refusals.ContainsKey(c.Key)), c => Assert.Throws<OperationCanceledException>(() => c.Value.Compile(given.Token)));
    }

    /// <summary>Every token that a mask allows leads on, and so does every text: there is always a next token or an end.</summary>
    private static void Walk(TokenMasks masks)
    {
        var random = new Random(1);
        var at = masks.Start;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 20; step++)
        {
            var mask = masks.Mask(at);
            int[] possible = [.. Enumerable.Range(0, Arrows.VocabularySize).Where(id => (mask[id / 64] >> id & 1) != 0)];
            Assert.True(possible.Length > 0 || at.Accepts, "the text can neither go on nor end");
            if (possible.Length == 0)
                break;
            at = masks.Next(at, possible[random.Next(possible.Length)]);
            Assert.NotNull(at);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
    }
}
