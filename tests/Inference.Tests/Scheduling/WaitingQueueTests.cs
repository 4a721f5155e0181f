using System.Threading.Channels;
using CsCheck;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Scheduling;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Scheduling;

public sealed class WaitingQueueTests : IDisposable
{
    private readonly TestModel _model = new();
    private readonly Tokenizer _tokenizer;
    private readonly KvBlockPool _pool = new(1, 16);
    private readonly WaitingQueue _queue = new();

    public WaitingQueueTests() => _tokenizer = Tokenizer.Load(_model.Directory);

    public void Dispose() => _model.Dispose();

    [Fact]
    public void Smaller_priority_numbers_go_first_and_equals_in_order_of_arrival()
    {
        Sequence[] added = [Add("a", priority: 1), Add("b", priority: -3), Add("c"), Add("d", priority: 1), Add("e")];
        Assert.Equal(["b", "c", "e", "a", "d"], Enumerable.Range(0, added.Length).Select(_ => AdmitNext().Request.Caller));
        Assert.Null(_queue.Peek());
    }

    [Fact]
    public void Single_request_of_another_caller_starts_within_two_admissions_of_a_flood()
    {
        for (int i = 0; i < 1000; i++)
            Add("flood");
        for (int i = 0; i < 5; i++)
            AdmitNext();
        Add("single");
        Assert.Contains("single", Enumerable.Range(0, 2).Select(_ => AdmitNext().Request.Caller));
    }

    [Fact]
    public void Callers_get_equal_tokens_whatever_the_length_of_their_prompts()
    {
        for (int i = 0; i < 300; i++)
            Add("long", prompt: 90);
        for (int i = 0; i < 900; i++)
            Add("short", prompt: 10);
        var tokens = new Dictionary<string, int> { ["long"] = 0, ["short"] = 0 };
        for (int i = 0; i < 500; i++)
        {
            Sequence next = AdmitNext();
            tokens[next.Request.Caller!] += next.PromptLength;
        }

        // But for the turns by age, all of the oldest caller: one in sixteen.
        Assert.InRange(tokens["long"] - tokens["short"], -90, (500 / WaitingQueue.Round * 90) + 90);
        Assert.InRange((double)tokens["long"] / tokens["short"], 0.9, 1.1);
    }

    [Fact]
    public void Long_answers_count_as_well_as_prompts()
    {
        Sequence talker = Add("talker");
        Add("talker");
        Sequence other = Add("other");
        Add("other");
        _queue.Admit(talker);
        _queue.Admit(other);
        for (int i = 0; i < 30; i++)
            talker.Append(2);
        WaitingQueue.Settle(talker);
        Assert.Equal("other", AdmitNext().Request.Caller);
    }

    [Fact]
    public void Worst_priority_starts_within_a_bounded_number_of_admissions()
    {
        for (int i = 0; i < 20; i++)
            Add("before");
        Sequence last = Add("patient", priority: int.MaxValue);
        int admissions = 0;
        for (Sequence? next = null; next != last; admissions++)
        {
            Add("better", priority: -1);
            next = AdmitNext();
        }

        Assert.InRange(admissions, 2, 21 * WaitingQueue.Round);
    }

    [Fact]
    public void Returning_caller_has_no_credit_for_the_time_it_was_away()
    {
        for (int i = 0; i < 100; i++)
            Add("steady");
        for (int i = 0; i < 50; i++)
            AdmitNext();
        for (int i = 0; i < 100; i++)
            Add("new");
        int started = Enumerable.Range(0, 40).Count(_ => AdmitNext().Request.Caller == "new");
        Assert.InRange(started, 16, 22);
    }

    [Fact]
    public void Preempted_sequence_comes_back_before_anyone_and_costs_its_caller_nothing()
    {
        Sequence first = Add("a"), second = Add("b", priority: -1);
        _queue.Admit(first);
        long tokens = first.Share!.Tokens;
        _queue.PutBack(first);
        Assert.Equal([first, second], _queue.ToArray());
        Assert.Same(first, AdmitNext());
        Assert.Equal(tokens, first.Share.Tokens);
    }

    [Fact]
    public void Adapters_of_one_caller_take_turns_too()
    {
        using Engine engine = Engine.Load(_model.Directory, TestEngine.Options());
        var bases = TestAdapters.Cluster(_model.Config, 1, _ => (2, 2));
        engine.AddCluster("cluster", bases);
        for (int i = 0; i < 60; i++)
            Add("caller", adapter: engine.LoadAdapter(TestAdapters.Adapter("flood", "cluster", bases, 1)));
        AdmitNext();
        Add("caller", adapter: engine.LoadAdapter(TestAdapters.Adapter("single", "cluster", bases, 2)));
        Add("caller");
        Assert.Superset(new HashSet<string?> { "single", null }, Enumerable.Range(0, 3).Select(_ => AdmitNext().Request.Adapter?.Id).ToHashSet());
    }

    [Fact]
    public void Everyone_is_served_once_and_no_share_is_left_over()
    {
        Gen.Select(Gen.Int[0, 3], Gen.Int[-2, 2], Gen.Int[1, 20], Gen.Int[0, 3]).Array[1, 80].Sample(
            requests =>
            {
                var queue = new WaitingQueue();
                var served = new List<Sequence>();
                foreach (var (caller, priority, prompt, action) in requests)
                {
                    queue.Add(Create($"{caller}", prompt, priority, null));
                    if (action > 1)
                        Serve(queue, served, keep: action == 2);
                }

                while (queue.Count > 0)
                    Serve(queue, served, keep: false);
                Assert.Equal(requests.Length, served.Distinct().Count());
                Assert.Equal(0, queue.Shares);
            },
            iter: 200,
            threads: 1);
    }

    private static void Serve(WaitingQueue queue, List<Sequence> served, bool keep)
    {
        Sequence next = queue.Peek()!;
        queue.Admit(next);
        if (keep)
        {
            queue.PutBack(next);
            return;
        }

        WaitingQueue.Settle(next);
        served.Add(next);
    }

    private Sequence AdmitNext()
    {
        Sequence next = _queue.Peek()!;
        _queue.Admit(next);
        return next;
    }

    private Sequence Add(string caller, int prompt = 5, int priority = 0, ResidentAdapter? adapter = null)
    {
        Sequence sequence = Create(caller, prompt, priority, adapter);
        _queue.Add(sequence);
        return sequence;
    }

    private Sequence Create(string caller, int prompt, int priority, ResidentAdapter? adapter)
    {
        int[] ids = [.. Enumerable.Repeat(2, prompt)];
        SamplingParams sampling = TestEngine.Greedy(1000);
        return new Sequence(
            new GenerationRequest("request", ids, sampling, adapter, priority, caller),
            _pool,
            Channel.CreateUnbounded<GenerationEvent>().Writer,
            new TokenSampler(sampling, 96, 1, [], ids),
            new OutputText(_tokenizer, sampling));
    }
}
