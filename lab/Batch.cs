using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>One training document: prompt tokens, then the answer tokens that carry the loss.</summary>
public readonly record struct Document(int[] Prompt, int[] Answer)
{
    public int Length => Prompt.Length + Answer.Length;

    /// <summary>A word of a task without a task token, as a user types it.</summary>
    public static Document Plain(TextTask task, string word) => new(CharTokenizer.EncodePrompt(word), CharTokenizer.EncodeAnswer(task.Answer(word)));

    public static Document Plain(TaskItem item) =>
        new(CharTokenizer.EncodePrompt(item.Prompt[..item.Prompt.IndexOf(' ')]), CharTokenizer.EncodeAnswer(item.Answer));
}

/// <summary>
/// Documents padded to one length. Tokens [rows, length]; Positions [n] are the flat places whose next token is an
/// answer token; Targets [n] those tokens; Owners[n] says which row each belongs to.
/// </summary>
public sealed class Batch : IDisposable
{
    public Batch(IReadOnlyList<Document> documents)
    {
        // The last token of a document is only ever a target, so one column less is fed.
        int length = documents.Max(d => d.Length) - 1;
        long[] tokens = new long[documents.Count * length];
        var (positions, targets, owners) = (new List<long>(), new List<long>(), new List<int>());
        for (int row = 0; row < documents.Count; row++)
        {
            var (prompt, answer) = documents[row];
            int start = row * length;
            for (int i = 0; i < prompt.Length; i++)
                tokens[start + i] = prompt[i];
            for (int i = 0; i < answer.Length; i++)
            {
                if (i < answer.Length - 1)
                    tokens[start + prompt.Length + i] = answer[i];
                positions.Add(start + prompt.Length - 1 + i);
                targets.Add(answer[i]);
                owners.Add(row);
            }
        }

        Rows = documents.Count;
        Tokens = tensor(tokens, [Rows, length], dtype: int64);
        Positions = tensor(positions.ToArray(), dtype: int64);
        Targets = tensor(targets.ToArray(), dtype: int64);
        Owners = owners;
    }

    public int Rows { get; }

    public Tensor Tokens { get; }

    public Tensor Positions { get; }

    public Tensor Targets { get; }

    public IReadOnlyList<int> Owners { get; }

    /// <summary>Cuts documents into pieces of similar length, so that little is spent on padding.</summary>
    public static IEnumerable<Batch> ByLength(IEnumerable<Document> documents, int rows) =>
        documents.OrderBy(d => d.Length).Chunk(rows).Select(chunk => new Batch(chunk));

    /// <summary>Sum over answer tokens of the cross-entropy, as a scalar with gradient.</summary>
    public Tensor Loss(LlamaModel model, StackedLora? lora = null) =>
        nn.functional.cross_entropy(model.Forward(Tokens, Positions, lora), Targets, reduction: nn.Reduction.Sum);

    /// <summary>
    /// Whether each row's whole answer has the largest logit at every place. By induction over the places this is
    /// the same as greedy decoding giving exactly the answer and then the end token.
    /// </summary>
    public bool[] ExactMatches(LlamaModel model, StackedLora? lora = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        byte[] right = model.Forward(Tokens, Positions, lora).argmax(-1).eq(Targets).to(uint8).data<byte>().ToArray();
        bool[] exact = new bool[Rows];
        Array.Fill(exact, true);
        for (int i = 0; i < right.Length; i++)
            exact[Owners[i]] &= right[i] == 1;
        return exact;
    }

    public void Dispose()
    {
        Tokens.Dispose();
        Positions.Dispose();
        Targets.Dispose();
    }
}
