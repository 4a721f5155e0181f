using System.Text;
using System.Text.Json;
using CsCheck;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

public class JsonObjectTests
{
    private const int Eos = 1;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);
    private static readonly TokenMasks Masks = new(OutputConstraint.JsonObject.Compile(), Arrows);

    [Fact]
    public void Random_walks_through_the_mask_are_JSON_objects() => RandomWalks(Arrows);

    [Fact]
    public void Random_walks_with_a_SentencePiece_vocabulary_are_JSON_objects() =>
        RandomWalks(Tokenizer.Load(SharedData.Path("models/stories260k")));

    [Fact]
    public void Every_JSON_object_is_possible_token_by_token() =>
        RandomJson.Object.Sample(json =>
        {
            var constraint = new ConstraintCursor(Masks, Eos, [Eos]);
            var logits = new float[Arrows.VocabularySize];
            var masked = new float[Arrows.VocabularySize];
            foreach (var id in Arrows.Encode(json, addSpecialTokens: false))
            {
                constraint.Mask(logits, masked);
                Assert.Equal(0, masked[id]);
                Assert.Equal(float.NegativeInfinity, masked[Eos]);
                Assert.True(constraint.Accept(id));
            }

            constraint.Mask(logits, masked);
            Assert.True(constraint.CanEnd);
            Assert.Equal(Eos, Assert.Single(Enumerable.Range(0, masked.Length), id => masked[id] == 0));
        }, iter: 300);

    [Fact]
    public void A_text_is_complete_exactly_when_it_parses_as_an_object() =>
        Gen.Select(RandomJson.Object, Gen.Int, Gen.Char["{}[]\",:\\u09dDcC8-+.eE tfn\n\u0001\u00E9"]).Sample((json, seed, character) =>
        {
            var random = new Random(seed);
            var at = random.Next(json.Length);
            var changed = random.Next(3) switch
            {
                0 => json.Insert(at, character.ToString()),
                1 => json.Remove(at, 1),
                _ => json[..at] + character + json[(at + 1)..],
            };
            // Trailing white space is JSON but is not produced; half a surrogate pair cannot be written in UTF-8.
            if (char.IsWhiteSpace(changed.LastOrDefault()) || Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(changed)) != changed)
                return;
            Assert.Equal(IsObject(changed), Completes(Encoding.UTF8.GetBytes(changed)));
        }, iter: 5000);

    [Theory]
    [InlineData("{\"a\":\"\\uD83D\\uDE00\"}", true)]
    [InlineData("{\"a\":\"\\uD83D\"}", false)]
    [InlineData("{\"a\":\"\\uDE00\"}", false)]
    [InlineData("{\"a\":\"\\uD83D\\u0041\"}", false)]
    [InlineData(" \n{ } ", false)]
    [InlineData(" \n{ }", true)]
    [InlineData("[]", false)]
    [InlineData("{\"a\":01}", false)]
    [InlineData("{\"a\":-0.5e+10}", true)]
    [InlineData("{\"a\":[true,false,null,{}]}", true)]
    [InlineData("{\"a\":1,}", false)]
    public void Corner_cases(string text, bool complete) => Assert.Equal(complete, Completes(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void Depth_is_bounded(int depth, bool complete)
    {
        var text = string.Concat(Enumerable.Repeat("{\"\":", depth - 1)) + "{}" + new string('}', depth - 1);
        Assert.Equal(complete, Completes(Encoding.UTF8.GetBytes(text)));
    }

    [Theory]
    [InlineData(new byte[] { 0xC3, 0xA9 }, true)]
    [InlineData(new byte[] { 0xC0, 0x80 }, false)]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 }, false)]
    [InlineData(new byte[] { 0xF4, 0x90, 0x80, 0x80 }, false)]
    [InlineData(new byte[] { 0xF0, 0x9F, 0x98, 0x80 }, true)]
    [InlineData(new byte[] { 0x80 }, false)]
    [InlineData(new byte[] { 0xE4, 0xBD }, false)]
    public void Strings_are_valid_UTF8(byte[] content, bool complete) =>
        Assert.Equal(complete, Completes([.. "{\""u8, .. content, .. "\":1}"u8]));

    [Fact]
    public void Masked_tokens_have_no_probability_and_the_others_share_it()
    {
        var logits = new float[Arrows.VocabularySize];
        var sampler = new TokenSampler(new SamplingParams { MaxTokens = 9, Temperature = 0, Constraint = Masks, Logprobs = 6 }, logits.Length, Eos, [], []);
        // At the start four kinds of white space and the brace are possible.
        var logprobs = sampler.Sample(logits).Logprobs!;
        Assert.Equal(-MathF.Log(5), logprobs.Chosen.Logprob, 1e-6f);
        Assert.Equal(float.NegativeInfinity, logprobs.Top[5].Logprob);
    }

    private static void RandomWalks(Tokenizer tokenizer)
    {
        var masks = new TokenMasks(OutputConstraint.JsonObject.Compile(), tokenizer);
        for (var seed = 0; seed < 40; seed++)
        {
            var text = RandomWalk.Text(masks, tokenizer, seed);
            Assert.NotNull(text);
            Assert.True(IsObject(text), text);
        }
    }

    /// <summary>One token per byte: in the committed tokenizer byte b is 2 + b.</summary>
    private static bool Completes(byte[] text)
    {
        var constraint = new ConstraintCursor(Masks, Eos, [Eos]);
        return text.All(value => constraint.Accept(2 + value)) && constraint.CanEnd;
    }

    private static bool IsObject(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            ReadStrings(document.RootElement);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Parsing alone lets single surrogates pass.</summary>
    private static void ReadStrings(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    _ = member.Name;
                    ReadStrings(member.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                    ReadStrings(item);
                break;
            case JsonValueKind.String:
                _ = element.GetString();
                break;
        }
    }
}
