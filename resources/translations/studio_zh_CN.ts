<?xml version='1.0' encoding='utf-8'?>
<TS version="2.1" language="zh_CN">
  <context>
    <name>AccuracyChart</name>
    <message>
      <source>Measure of accuracy</source>
      <translation>精度指标</translation>
    </message>
    <message>
      <source>Accuracy</source>
      <translation>精度</translation>
    </message>
    <message>
      <source>The original is being measured.</source>
      <translation>正在评测原模型。</translation>
    </message>
    <message>
      <source>predicted {value} ({low}-{high})</source>
      <translation>预测 {value}（{low}-{high}）</translation>
    </message>
    <message>
      <source>predicted {value} ({low}-{high}) before tuning</source>
      <translation>预测 {value}（{low}-{high}），微调前</translation>
    </message>
    <message>
      <source>{n} of {m} past predictions fell inside</source>
      <translation>以往 {m} 次预测中有 {n} 次落在区间内</translation>
    </message>
    <message>
      <source>{n} layers by the error of their weights alone</source>
      <translation>{n} 层仅按权重误差估计</translation>
    </message>
    <message>
      <source>measured on {n} {unit}</source>
      <translation>在 {n} {unit}上实测</translation>
    </message>
    <message>
      <source>, untrained</source>
      <translation>，未训练</translation>
    </message>
    <message>
      <source>, window {n} of {total}</source>
      <translation>，第 {n}/{total} 个窗口</translation>
    </message>
    <message>
      <source>Let the slider rest: the plan is measured by itself.</source>
      <translation>停下滑块，方案会自动评测。</translation>
    </message>
    <message>
      <source>Measured only: a stage comes before, so nothing is predicted.</source>
      <translation>仅实测：前面还有阶段，因此不作预测。</translation>
    </message>
    <message>
      <source>The original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>being measured</source>
      <translation>正在评测</translation>
    </message>
    <message>
      <source>Variant {n}</source>
      <translation>变体 {n}</translation>
    </message>
    <message>
      <source>stage {n}</source>
      <translation>阶段 {n}</translation>
    </message>
    <message>
      <source>click restores it, Ctrl+click compares it</source>
      <translation>单击恢复，Ctrl+单击对比</translation>
    </message>
  </context>
  <context>
    <name>Bars</name>
    <message>
      <source>now</source>
      <translation>现在</translation>
    </message>
    <message>
      <source>before</source>
      <translation>之前</translation>
    </message>
  </context>
  <context>
    <name>CacheDialog</name>
    <message>
      <source>Cache</source>
      <translation>缓存</translation>
    </message>
    <message>
      <source>Nothing here is the only copy of anything: what is cleared is computed again when it is needed.</source>
      <translation>这里没有任何东西是唯一的副本：清除的内容会在需要时重新计算。</translation>
    </message>
    <message>
      <source>Clear</source>
      <translation>清除</translation>
    </message>
    <message>
      <source>Cap of: {what}</source>
      <translation>上限：{what}</translation>
    </message>
    <message>
      <source>Kept under this; what was not used longest goes first</source>
      <translation>保持在此大小以下；最久未用的先删除</translation>
    </message>
    <message>
      <source>{n} kept, {size}</source>
      <translation>保留 {n} 项，{size}</translation>
    </message>
  </context>
  <context>
    <name>Calibration</name>
    <message>
      <source>File…</source>
      <translation>文件…</translation>
    </message>
    <message>
      <source>Folder…</source>
      <translation>文件夹…</translation>
    </message>
    <message>
      <source>Automatic</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>Measure</source>
      <translation>测量</translation>
    </message>
    <message>
      <source>Error against samples</source>
      <translation>误差与样本数</translation>
    </message>
    <message>
      <source>samples seen</source>
      <translation>见到的样本数</translation>
    </message>
    <message>
      <source>held-out error, % of the output</source>
      <translation>留出误差，占输出的 %</translation>
    </message>
    <message>
      <source>enough</source>
      <translation>足够</translation>
    </message>
    <message>
      <source>as usual</source>
      <translation>默认</translation>
    </message>
    <message>
      <source>Calibration samples</source>
      <translation>校准样本数</translation>
    </message>
    <message>
      <source>Tokens, sentences or images for both parts; as usual: 16384 tokens, 512 sentences, 256 images</source>
      <translation>两部分合计的词元、句子或图像数；默认：16384 个词元、512 个句子、256 张图像</translation>
    </message>
    <message>
      <source>Own text, images or sounds ({suffixes}); or drop them here</source>
      <translation>您自己的文本、图像或录音（{suffixes}）；也可拖放到这里</translation>
    </message>
    <message>
      <source>A folder of texts, or of pictures: in one subfolder per class, or without labels</source>
      <translation>文本文件夹，或图片文件夹：每类一个子文件夹，或不带标签</translation>
    </message>
    <message>
      <source>What the scored data leaves over, else the bundled text</source>
      <translation>评分数据之外剩余的部分，否则用自带文本</translation>
    </message>
    <message>
      <source>What each layer meets, and the error of the selected one (else of the widest) against samples</source>
      <translation>每层遇到多少样本，以及所选层（否则最宽的层）的误差随样本数的变化</translation>
    </message>
    <message>
      <source>H of </source>
      <translation>H 共享 </translation>
    </message>
    <message>
      <source>Inputs that share second moments</source>
      <translation>共享二阶矩的输入数</translation>
    </message>
    <message>
      <source>Inputs of a layer solved together, 8192 as usual: fewer take less memory and time on wide layers</source>
      <translation>一层中一起求解的输入数，通常为 8192：更少则在宽层上节省内存和时间</translation>
    </message>
    <message>
      <source>Layer</source>
      <translation>层</translation>
    </message>
    <message>
      <source>Samples</source>
      <translation>样本</translation>
    </message>
    <message>
      <source>What happens</source>
      <translation>处理方式</translation>
    </message>
    <message>
      <source>Samples it met, and how many times its inputs that is</source>
      <translation>遇到的样本数，以及是其输入数的多少倍</translation>
    </message>
    <message>
      <source>What each layer meets</source>
      <translation>每层遇到的样本</translation>
    </message>
    <message>
      <source>Measured: the error left on inputs the solver never sees, for an eighth to all of its samples.</source>
      <translation>实测：求解器从未见过的输入上剩余的误差，样本从八分之一到全部。</translation>
    </message>
    <message>
      <source>Original's inputs</source>
      <translation>原模型的输入</translation>
    </message>
    <message>
      <source>Layers are compressed side by side; statistics are cached</source>
      <translation>各层并行压缩；统计会缓存</translation>
    </message>
    <message>
      <source>Behind compressed blocks</source>
      <translation>在已压缩块之后</translation>
    </message>
    <message>
      <source>Each block's statistics come from the compressed blocks before it: slower, and not cached</source>
      <translation>每个块的统计来自其前面已压缩的块：较慢，且不缓存</translation>
    </message>
    <message>
      <source>Layer by layer, corrected</source>
      <translation>逐层校正</translation>
    </message>
    <message>
      <source>Each layer makes up for what the compressed layers before it did to its inputs: best and slowest, and not cached</source>
      <translation>每一层弥补其前面已压缩的层对其输入造成的改变：效果最好但最慢，且不缓存</translation>
    </message>
    <message>
      <source>What layers are calibrated behind</source>
      <translation>各层校准所处的位置</translation>
    </message>
    <message>
      <source>Text, images, recordings or importance matrix ({suffixes})</source>
      <translation>文本、图像、录音或重要性矩阵（{suffixes}）</translation>
    </message>
    <message>
      <source>Calibration data</source>
      <translation>校准数据</translation>
    </message>
    <message>
      <source>Drop a .txt here to calibrate on your own text</source>
      <translation>把 .txt 拖到这里，即可用自己的文本校准</translation>
    </message>
    <message>
      <source>{name}. Measure shows what each layer meets, and how many samples are enough.</source>
      <translation>{name}。“测量”会显示每层遇到多少样本，以及多少样本足够。</translation>
    </message>
    <message>
      <source>{told}: {n} {unit} for the solver, {m} held out for the scores</source>
      <translation>{told}：{n} {unit}用于求解，{m} 留出用于评分</translation>
    </message>
    <message>
      <source>All {n} layers saw at least {times} samples per input</source>
      <translation>全部 {n} 层每个输入至少见到 {times} 个样本</translation>
    </message>
    <message>
      <source>{n} of {m} layers saw fewer than {times} samples per input</source>
      <translation>{m} 层中有 {n} 层每个输入的样本少于 {times} 个</translation>
    </message>
    <message>
      <source>{n} saw nothing</source>
      <translation>{n} 层什么也没见到</translation>
    </message>
    <message>
      <source>, </source>
      <translation>，</translation>
    </message>
    <message>
      <source>{layer}: flat from {n} samples on</source>
      <translation>{layer}：从 {n} 个样本起趋平</translation>
    </message>
    <message>
      <source>{layer}: the last step still took {share} off the error</source>
      <translation>{layer}：最后一步仍使误差减少 {share}</translation>
    </message>
    <message>
      <source>met nothing: stays as stored</source>
      <translation>未遇到样本：保持原样</translation>
    </message>
    <message>
      <source>met nothing: compressed without data</source>
      <translation>未遇到样本：不用数据压缩</translation>
    </message>
    <message>
      <source>few samples: damped more</source>
      <translation>样本少：阻尼更大</translation>
    </message>
  </context>
  <context>
    <name>Coach</name>
    <message>
      <source>The layers. Select one, a group, or nothing for the whole model; type 4 for four bits.</source>
      <translation>这里是各层。选择一层、一组，或不选（即整个模型）；按 4 即设为 4 位。</translation>
    </message>
    <message>
      <source>The sliders. The size is exact at every tick; let go, and the accuracy is measured.</source>
      <translation>这里是滑块。每移动一格都给出精确大小；松手后自动评测精度。</translation>
    </message>
    <message>
      <source>What it costs. Every measured plan stays as a point; Export writes it and proves that it loads.</source>
      <translation>这里是代价。每个评测过的方案都会留下一个点；导出会写出模型并验证它能加载。</translation>
    </message>
    <message>
      <source>Skip</source>
      <translation>跳过</translation>
    </message>
    <message>
      <source>Done</source>
      <translation>完成</translation>
    </message>
    <message>
      <source>Next</source>
      <translation>下一步</translation>
    </message>
  </context>
  <context>
    <name>Compare</name>
    <message>
      <source>Choose two points of the history to compare them layer by layer, or press Space for the original.</source>
      <translation>在历史中选择两个变体即可逐层对比，按空格键则与原模型对比。</translation>
    </message>
    <message>
      <source>Plan</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Zeros</source>
      <translation>零值</translation>
    </message>
    <message>
      <source>Bytes</source>
      <translation>字节</translation>
    </message>
    <message>
      <source>Error</source>
      <translation>误差</translation>
    </message>
    <message>
      <source>Layer</source>
      <translation>层</translation>
    </message>
    <message>
      <source>Comparison</source>
      <translation>对比</translation>
    </message>
    <message>
      <source>Variant {n}</source>
      <translation>变体 {n}</translation>
    </message>
    <message>
      <source>Original</source>
      <translation>原模型</translation>
    </message>
  </context>
  <context>
    <name>Curve</name>
    <message>
      <source>against bits</source>
      <translation>随位数变化</translation>
    </message>
    <message>
      <source>against pruning</source>
      <translation>随剪枝变化</translation>
    </message>
    <message>
      <source>What the curve runs over</source>
      <translation>曲线的横轴</translation>
    </message>
    <message>
      <source>Cost of this layer</source>
      <translation>该层的代价</translation>
    </message>
    <message>
      <source>Predicted cost of the selected layer alone, from its error on inputs it was not fitted to.</source>
      <translation>仅所选层的预测代价，由它在未参与拟合的输入上的误差得出。</translation>
    </message>
    <message>
      <source>Select a layer to see its curve.</source>
      <translation>选择一层即可查看其曲线。</translation>
    </message>
    <message>
      <source>bits</source>
      <translation>位</translation>
    </message>
    <message>
      <source>% pruned</source>
      <translation>剪枝 %</translation>
    </message>
    <message>
      <source>now: {x} {axis}, predicted cost {y}</source>
      <translation>当前：{x} {axis}，预测代价 {y}</translation>
    </message>
  </context>
  <context>
    <name>Curves</name>
    <message>
      <source>Loss while training</source>
      <translation>训练中的损失</translation>
    </message>
    <message>
      <source>step</source>
      <translation>步</translation>
    </message>
    <message>
      <source>loss</source>
      <translation>损失</translation>
    </message>
    <message>
      <source>Measured: each step's loss on what it learns from, and now and then the loss on pieces that are never trained on.</source>
      <translation>实测：每一步在所学数据上的损失，并不时给出从不参与训练的部分上的损失。</translation>
    </message>
    <message>
      <source>before</source>
      <translation>之前</translation>
    </message>
    <message>
      <source>Curves appear here</source>
      <translation>曲线将显示在这里</translation>
    </message>
    <message>
      <source>round</source>
      <translation>轮</translation>
    </message>
    <message>
      <source>best {loss}</source>
      <translation>最佳 {loss}</translation>
    </message>
  </context>
  <context>
    <name>CutPanel</name>
    <message>
      <source>How the units to cut are chosen</source>
      <translation>如何选择要剪去的单元</translation>
    </message>
    <message>
      <source>What is left; the same in every block</source>
      <translation>保留的数量；每个块相同</translation>
    </message>
    <message>
      <source>Cut weights are gone from the file: smaller and faster everywhere</source>
      <translation>剪去的权重不再写入文件：在任何地方都更小、更快</translation>
    </message>
    <message>
      <source>{title} {n}</source>
      <translation>{title} {n}</translation>
    </message>
  </context>
  <context>
    <name>EnergyChart</name>
    <message>
      <source>Energy</source>
      <translation>能耗</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>设备</translation>
    </message>
    <message>
      <source>Where the model will live: joules are modelled of this device</source>
      <translation>模型将运行在哪里：焦耳按此设备建模</translation>
    </message>
    <message>
      <source>What if: another device, region, batch, context, use</source>
      <translation>假如：换设备、地区、批量、上下文或用量</translation>
    </message>
    <message>
      <source>What if…</source>
      <translation>假如……</translation>
    </message>
    <message>
      <source>Modelled when the network can run.</source>
      <translation>网络可以运行时才能估算。</translation>
    </message>
    <message>
      <source>{low} to {high} (90 %), modelled</source>
      <translation>{low} 到 {high}（90 %），模型估算</translation>
    </message>
    <message>
      <source>physics floor: {joules}</source>
      <translation>物理下限：{joules}</translation>
    </message>
    <message>
      <source>nothing saved while it runs</source>
      <translation>运行时没有节省</translation>
    </message>
    <message>
      <source>modelled, {level} ×÷{range}</source>
      <translation>建模，{level} ×÷{range}</translation>
    </message>
    <message>
      <source>a {unit}</source>
      <translation>每{unit}</translation>
    </message>
    <message>
      <source>{before} → {after} CO₂e a million</source>
      <translation>每百万 {before} → {after} CO₂e</translation>
    </message>
    <message>
      <source>paid back after {n} {unit}</source>
      <translation>{n} {unit}后回本</translation>
    </message>
    <message>
      <source>The slimming has taken {joules} so far ({seconds} of work), metered.</source>
      <translation>瘦身至今耗能 {joules}（工作 {seconds}），实测。</translation>
    </message>
    <message>
      <source>The slimming has taken {joules} so far ({seconds} of work), modelled.</source>
      <translation>瘦身至今耗能 {joules}（工作 {seconds}），模型估算。</translation>
    </message>
    <message>
      <source>Excludes embodied carbon.</source>
      <translation>不含隐含碳。</translation>
    </message>
  </context>
  <context>
    <name>ExportDialog</name>
    <message>
      <source>Export</source>
      <translation>导出</translation>
    </message>
    <message>
      <source>Stored types</source>
      <translation>保存类型</translation>
    </message>
    <message>
      <source>Layers stored dense, and why</source>
      <translation>以稠密形式存储的层及原因</translation>
    </message>
    <message>
      <source>Stored dense</source>
      <translation>稠密存储</translation>
    </message>
    <message>
      <source>Where to</source>
      <translation>保存位置</translation>
    </message>
    <message>
      <source>Browse…</source>
      <translation>浏览…</translation>
    </message>
    <message>
      <source>Runs in</source>
      <translation>可用于</translation>
    </message>
    <message>
      <source>Exact size</source>
      <translation>精确大小</translation>
    </message>
    <message>
      <source>Export and verify</source>
      <translation>导出并验证</translation>
    </message>
    <message>
      <source>{size} and the network's graph, which is being traced</source>
      <translation>{size}，另加网络的计算图（正在追踪）</translation>
    </message>
    <message>
      <source>Folder to export into</source>
      <translation>导出到的文件夹</translation>
    </message>
  </context>
  <context>
    <name>FactoryDialog</name>
    <message>
      <source>Run this code?</source>
      <translation>运行这段代码？</translation>
    </message>
    <message>
      <source>Function that returns the network</source>
      <translation>返回网络的函数</translation>
    </message>
    <message>
      <source>The code that will run</source>
      <translation>将要运行的代码</translation>
    </message>
    <message>
      <source>Yes, run this code</source>
      <translation>是，运行这段代码</translation>
    </message>
    <message>
      <source>{name} can do anything you can do on this computer. Run it only if you know where it comes from.</source>
      <translation>{name} 能在这台电脑上做您能做的任何事。只有清楚它的来源时才运行。</translation>
    </message>
    <message>
      <source>Function that returns the network, called without arguments:</source>
      <translation>返回网络的函数（调用时不带参数）：</translation>
    </message>
  </context>
  <context>
    <name>Feeding</name>
    <message>
      <source>Measuring the calibration</source>
      <translation>正在测量校准数据</translation>
    </message>
    <message>
      <source>Tidying the cache</source>
      <translation>正在整理缓存</translation>
    </message>
  </context>
  <context>
    <name>Forecast</name>
    <message>
      <source>Change the calibration so that the plan fits</source>
      <translation>更改校准，使方案放得下</translation>
    </message>
    <message>
      <source>Calibrate in blocks of {n} inputs</source>
      <translation>以 {n} 个输入为块校准</translation>
    </message>
    <message>
      <source>Calibrate on {n} tokens</source>
      <translation>用 {n} 个词元校准</translation>
    </message>
    <message>
      <source>Takes {memory} and {time} (estimated)</source>
      <translation>需要 {memory}，{time}（估计）</translation>
    </message>
    <message>
      <source>training keeps up to {size} of the teacher's answers on disk</source>
      <translation>训练在磁盘上最多保存 {size} 的教师回答</translation>
    </message>
    <message>
      <source>⚠ Needs {memory}, {free} are free: {proposal}</source>
      <translation>⚠ 需要 {memory}，空闲 {free}：{proposal}</translation>
    </message>
    <message>
      <source>Predicted from sizes, samples and this machine's measured speed, for layers that are not in the layer store yet.</source>
      <translation>根据大小、样本数和本机实测速度预测，针对尚未在层存储中的层。</translation>
    </message>
    <message>
      <source>Most memory: {stage}, {size}.</source>
      <translation>内存最多的阶段：{stage}，{size}。</translation>
    </message>
    <message>
      <source>Accuracy is not measured, as both models would not fit.</source>
      <translation>两个模型无法同时放下，因此不测量精度。</translation>
    </message>
  </context>
  <context>
    <name>Form</name>
    <message>
      <source> (mixed)</source>
      <translation>（不一致）</translation>
    </message>
  </context>
  <context>
    <name>Formats</name>
    <message>
      <source>Format</source>
      <translation>格式</translation>
    </message>
    <message>
      <source>Exact size</source>
      <translation>精确大小</translation>
    </message>
    <message>
      <source>Speed here</source>
      <translation>本机速度</translation>
    </message>
    <message>
      <source>What it can't hold</source>
      <translation>无法保存的内容</translation>
    </message>
    <message>
      <source>Runs in {what}</source>
      <translation>可运行于 {what}</translation>
    </message>
    <message>
      <source>tokens/s</source>
      <translation>词元/秒</translation>
    </message>
    <message>
      <source>samples/s</source>
      <translation>样本/秒</translation>
    </message>
    <message>
      <source>modelled</source>
      <translation>模型估算</translation>
    </message>
    <message>
      <source>modelled as a laptop</source>
      <translation>按笔记本电脑估算</translation>
    </message>
    <message>
      <source>nothing: all as planned</source>
      <translation>无：全部按方案</translation>
    </message>
    <message>
      <source>{n} layers stored dense: {why}</source>
      <translation>{n} 层以稠密形式存储：{why}</translation>
    </message>
  </context>
  <context>
    <name>Formulas</name>
    <message>
      <source>Formulas and sources</source>
      <translation>公式与出处</translation>
    </message>
  </context>
  <context>
    <name>Frame</name>
    <message>
      <source>Drop a picture here</source>
      <translation>将图片拖放到此处</translation>
    </message>
    <message>
      <source>The picture both look at</source>
      <translation>两者所看的图片</translation>
    </message>
  </context>
  <context>
    <name>FrontPanel</name>
    <message>
      <source>Best under it</source>
      <translation>预算内最佳</translation>
    </message>
    <message>
      <source>Sense the layers</source>
      <translation>感知各层</translation>
    </message>
    <message>
      <source>over size</source>
      <translation>对大小</translation>
    </message>
    <message>
      <source>over energy</source>
      <translation>对能耗</translation>
    </message>
    <message>
      <source>What lies across</source>
      <translation>横轴</translation>
    </message>
    <message>
      <source>Measure of accuracy</source>
      <translation>精度指标</translation>
    </message>
    <message>
      <source>any size</source>
      <translation>大小不限</translation>
    </message>
    <message>
      <source>Budget of bytes</source>
      <translation>字节预算</translation>
    </message>
    <message>
      <source>The largest export that will do</source>
      <translation>可接受的最大导出大小</translation>
    </message>
    <message>
      <source>Put the plan in force that is predicted to cost least within this budget; Undo takes it back</source>
      <translation>采用在此预算内预测代价最小的方案；可撤销</translation>
    </message>
    <message>
      <source>at most </source>
      <translation>最多差 </translation>
    </message>
    <message>
      <source> % worse</source>
      <translation> %</translation>
    </message>
    <message>
      <source>How much worse it may be</source>
      <translation>允许变差多少</translation>
    </message>
    <message>
      <source>The sweet spot: the smallest plan whose whole predicted interval is no worse than this</source>
      <translation>甜点：整个预测区间都不超过此界限的最小方案</translation>
    </message>
    <message>
      <source>Put the sweet spot in force; it is predicted, and measured as soon as the hand rests</source>
      <translation>采用甜点方案；它是预测值，停手后立即实测</translation>
    </message>
    <message>
      <source>Why each layer is held as it is</source>
      <translation>每层为何如此设置</translation>
    </message>
    <message>
      <source>What each layer's bits buy; a click selects the layer</source>
      <translation>每层的位数换来了什么；单击选择该层</translation>
    </message>
    <message>
      <source>Stages are measured only: the line is of the model without them</source>
      <translation>各阶段仅实测：曲线是没有这些阶段的模型的</translation>
    </message>
    <message>
      <source>Stages are measured only: the numbers say which ends where</source>
      <translation>各阶段仅实测：数字标出每个阶段止于何处</translation>
    </message>
    <message>
      <source>The front needs a network that runs here: {why}</source>
      <translation>前沿需要能在此运行的网络：{why}</translation>
    </message>
    <message>
      <source>A cut or rotated model is another network, of which nothing is predicted; take that back to see the front.</source>
      <translation>裁剪或旋转后的模型是另一个网络，无法预测；撤回后即可看到前沿。</translation>
    </message>
    <message>
      <source>This format stores all plans in the same bytes; choose another one under Export to see the front.</source>
      <translation>此格式下这些层的任何方案字节数都相同；请在导出中选择其他格式以查看前沿。</translation>
    </message>
    <message>
      <source>The layers are being sensed; the front appears as soon as the first ones are.</source>
      <translation>正在感知各层；最先几层完成后即显示前沿。</translation>
    </message>
    <message>
      <source>Sense the layers once, and here is what may be had at every size: a line to drag the plan along, the best plan under a budget, and the smallest that is hardly worse. All of it is predicted with its interval, then measured when you rest.</source>
      <translation>感知各层一次，这里就会显示每种大小可得到什么：可沿其拖动方案的曲线、预算内的最佳方案，以及几乎不变差的最小方案。全部为带区间的预测，停手后再实测。</translation>
    </message>
    <message>
      <source>Choose held-out data first, under Run.</source>
      <translation>请先在“运行”中选择留出数据。</translation>
    </message>
    <message>
      <source>Nothing is that good</source>
      <translation>没有这么好的方案</translation>
    </message>
    <message>
      <source>Take {size}</source>
      <translation>采用 {size}</translation>
    </message>
    <message>
      <source>{n} of {m} past predictions fell inside</source>
      <translation>以往 {m} 次预测中有 {n} 次落在区间内</translation>
    </message>
  </context>
  <context>
    <name>Half</name>
    <message>
      <source>{title} method</source>
      <translation>{title}方法</translation>
    </message>
    <message>
      <source>Method</source>
      <translation>方法</translation>
    </message>
  </context>
  <context>
    <name>Hear</name>
    <message>
      <source>Recording…</source>
      <translation>录音…</translation>
    </message>
    <message>
      <source>Sample</source>
      <translation>样本</translation>
    </message>
    <message>
      <source>Pitch</source>
      <translation>音高</translation>
    </message>
    <message>
      <source>seconds</source>
      <translation>秒</translation>
    </message>
    <message>
      <source>Hz</source>
      <translation>Hz</translation>
    </message>
    <message>
      <source>KL per frame</source>
      <translation>每帧的 KL</translation>
    </message>
    <message>
      <source>One cell every 10 ms: how far the variant's answer is from the original's.</source>
      <translation>每 10 毫秒一格：变体的回答与原模型相差多远。</translation>
    </message>
    <message>
      <source>The likeliest pitches of both</source>
      <translation>两者认为最可能的音高</translation>
    </message>
    <message>
      <source>The first recording of the held-out data</source>
      <translation>留出数据中的第一段录音</translation>
    </message>
    <message>
      <source>Choose a recording (.wav) of a voice, or drop one here.</source>
      <translation>选择一段人声录音（.wav），或拖放到这里。</translation>
    </message>
    <message>
      <source>KL {kl} nats a frame, measured</source>
      <translation>每帧 KL {kl} nat，实测</translation>
    </message>
    <message>
      <source>{share} of the frames alike (within a quarter tone, or no voice)</source>
      <translation>{share} 的帧一致（相差不到四分之一音，或都无人声）</translation>
    </message>
    <message>
      <source>{cents} cents apart in the median</source>
      <translation>中位数相差 {cents} 音分</translation>
    </message>
    <message>
      <source>original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>variant</source>
      <translation>变体</translation>
    </message>
    <message>
      <source>Choose a recording…</source>
      <translation>选择录音…</translation>
    </message>
    <message>
      <source>Recordings (*.wav)</source>
      <translation>录音 (*.wav)</translation>
    </message>
  </context>
  <context>
    <name>HistoryPanel</name>
    <message>
      <source>Measured variants</source>
      <translation>已评测的变体</translation>
    </message>
    <message>
      <source>Click restores a variant's plan; Ctrl+click a second one to compare both</source>
      <translation>单击恢复该变体的方案；Ctrl+单击另一个可对比两者</translation>
    </message>
    <message>
      <source>Every measured plan appears here: move a slider and rest</source>
      <translation>每个评测过的方案都会出现在这里：移动滑块，然后停下</translation>
    </message>
    <message>
      <source>Variant {n}</source>
      <translation>变体 {n}</translation>
    </message>
    <message>
      <source>stage {n}</source>
      <translation>阶段 {n}</translation>
    </message>
    <message>
      <source>measured on {n} {unit}</source>
      <translation>在 {n} {unit}上实测</translation>
    </message>
  </context>
  <context>
    <name>Inspector</name>
    <message>
      <source>Select one layer to look inside it.</source>
      <translation>选择一个层，查看其内部。</translation>
    </message>
    <message>
      <source>logarithmic</source>
      <translation>对数坐标</translation>
    </message>
    <message>
      <source>Histogram</source>
      <translation>直方图</translation>
    </message>
    <message>
      <source>weight</source>
      <translation>权重</translation>
    </message>
    <message>
      <source>count</source>
      <translation>数量</translation>
    </message>
    <message>
      <source>Map</source>
      <translation>热图</translation>
    </message>
    <message>
      <source>input</source>
      <translation>输入</translation>
    </message>
    <message>
      <source>output</source>
      <translation>输出</translation>
    </message>
    <message>
      <source>Channels</source>
      <translation>通道</translation>
    </message>
    <message>
      <source>output channel</source>
      <translation>输出通道</translation>
    </message>
    <message>
      <source>Magnitude</source>
      <translation>幅值</translation>
    </message>
    <message>
      <source>Zeros</source>
      <translation>零值</translation>
    </message>
    <message>
      <source>after</source>
      <translation>之后</translation>
    </message>
    <message>
      <source>before</source>
      <translation>之前</translation>
    </message>
    <message>
      <source>Range and outliers</source>
      <translation>范围与离群值</translation>
    </message>
    <message>
      <source>Middle half</source>
      <translation>中间 50 %</translation>
    </message>
    <message>
      <source>Error left</source>
      <translation>压缩误差</translation>
    </message>
    <message>
      <source>What the map shows</source>
      <translation>热图显示的内容</translation>
    </message>
    <message>
      <source>Which weights the map shows</source>
      <translation>热图显示哪组权重</translation>
    </message>
    <message>
      <source>What the channels show</source>
      <translation>通道图显示的内容</translation>
    </message>
    <message>
      <source>The wheel zooms, a drag moves, A in the corner shows all again; a right click copies.</source>
      <translation>滚轮缩放，拖动平移，角落的 A 恢复全貌；右键可复制。</translation>
    </message>
    <message>
      <source>How often each weight occurs, orange before and blue after compression.</source>
      <translation>各权重值出现的次数，橙色为压缩前，蓝色为压缩后。</translation>
    </message>
    <message>
      <source>The matrix, one row per output; large ones are averaged over blocks of weights.</source>
      <translation>权重矩阵，每行一个输出；较大的矩阵按块取平均。</translation>
    </message>
    <message>
      <source>One value per output channel; crosses are outliers beyond six standard deviations.</source>
      <translation>每个输出通道一个值；叉号为超出六个标准差的离群值。</translation>
    </message>
    <message>
      <source>left as it is</source>
      <translation>保持原样</translation>
    </message>
    <message>
      <source>error left {e}</source>
      <translation>压缩误差 {e}</translation>
    </message>
    <message>
      <source>mean</source>
      <translation>均值</translation>
    </message>
    <message>
      <source>standard deviation</source>
      <translation>标准差</translation>
    </message>
    <message>
      <source>largest</source>
      <translation>最大绝对值</translation>
    </message>
    <message>
      <source>kurtosis</source>
      <translation>峰度</translation>
    </message>
    <message>
      <source>zeros</source>
      <translation>零值</translation>
    </message>
    <message>
      <source>outliers</source>
      <translation>离群值</translation>
    </message>
    <message>
      <source>output {row}, input {column}: {value}</source>
      <translation>输出 {row}，输入 {column}：{value}</translation>
    </message>
  </context>
  <context>
    <name>Jobs</name>
    <message>
      <source>Progress</source>
      <translation>进度</translation>
    </message>
    <message>
      <source>Cancel</source>
      <translation>取消</translation>
    </message>
    <message>
      <source>Stop this job; everything finished so far is kept</source>
      <translation>停止此任务；已完成的部分会保留</translation>
    </message>
    <message>
      <source>Log</source>
      <translation>日志</translation>
    </message>
    <message>
      <source>What the worker did, newest first; Help › Open the log has every detail</source>
      <translation>后台任务记录，最新的在前；“帮助 › 打开日志”中有全部细节</translation>
    </message>
    <message>
      <source>Log of finished jobs</source>
      <translation>已结束任务的日志</translation>
    </message>
    <message>
      <source>Nothing is running.</source>
      <translation>没有正在运行的任务。</translation>
    </message>
    <message>
      <source>{n} waiting</source>
      <translation>{n} 个等待中</translation>
    </message>
    <message>
      <source>{time} left</source>
      <translation>剩余 {time}</translation>
    </message>
    <message>
      <source>done</source>
      <translation>完成</translation>
    </message>
    <message>
      <source>failed</source>
      <translation>失败</translation>
    </message>
    <message>
      <source>cancelled</source>
      <translation>已取消</translation>
    </message>
  </context>
  <context>
    <name>Keeper</name>
    <message>
      <source>{path} is no longer there, so the studio starts empty; put it back and use File › Reopen the last session.</source>
      <translation>{path} 已不存在，因此以空白状态启动；放回后可用“文件 › 重新打开上次会话”。</translation>
    </message>
    <message>
      <source>The last start ended while it reopened the session; File › Reopen the last session tries again.</source>
      <translation>上次启动在恢复会话时中断；可用“文件 › 重新打开上次会话”再试一次。</translation>
    </message>
  </context>
  <context>
    <name>LayersModel</name>
    <message>
      <source>Layer</source>
      <translation>层</translation>
    </message>
    <message>
      <source>Bits</source>
      <translation>位数</translation>
    </message>
    <message>
      <source>Prune</source>
      <translation>剪枝</translation>
    </message>
    <message>
      <source>Planned</source>
      <translation>方案大小</translation>
    </message>
    <message>
      <source>Cost</source>
      <translation>代价</translation>
    </message>
    <message>
      <source>Error</source>
      <translation>误差</translation>
    </message>
    <message>
      <source>Zeros</source>
      <translation>零值</translation>
    </message>
    <message>
      <source>Type</source>
      <translation>类型</translation>
    </message>
    <message>
      <source>Shape</source>
      <translation>形状</translation>
    </message>
    <message>
      <source>Parameters</source>
      <translation>参数量</translation>
    </message>
    <message>
      <source>Stored</source>
      <translation>存储</translation>
    </message>
    <message>
      <source>Dtype</source>
      <translation>数据类型</translation>
    </message>
    <message>
      <source>Like blocks are folded into one row; open it to see its layers</source>
      <translation>相同的块折叠为一行；展开可查看各层</translation>
    </message>
    <message>
      <source>Planned bits of a weight. ● said by the layer itself, ◐ by its group, else by the model; ■ held in searches</source>
      <translation>每个权重的计划位数。● 由该层自己指定，◐ 由其组指定，否则来自模型；■ 搜索时保持不变</translation>
    </message>
    <message>
      <source>Planned share of weights set to zero. ● said by the layer itself, ◐ by its group</source>
      <translation>方案中置零的权重比例。● 由该层单独设定，◐ 由其组设定</translation>
    </message>
    <message>
      <source>Share of exact zeros: measured after compression where the plan was measured, else as stored</source>
      <translation>零值所占比例：方案评测过的为压缩后实测值，否则为文件中的现有值</translation>
    </message>
    <message>
      <source>What the tensor does in the network</source>
      <translation>该张量在网络中的作用</translation>
    </message>
    <message>
      <source>Outputs × inputs</source>
      <translation>输出 × 输入</translation>
    </message>
    <message>
      <source>How many numbers the layer stands for</source>
      <translation>该层包含的数值个数</translation>
    </message>
    <message>
      <source>Bytes in the opened file</source>
      <translation>在所打开文件中占用的字节</translation>
    </message>
    <message>
      <source>Type in the opened file</source>
      <translation>在所打开文件中的类型</translation>
    </message>
    <message>
      <source>Exact bytes an export will write. Frame: stored now, fill: planned, against the largest row beside it</source>
      <translation>导出将写入的精确字节数。外框为现有存储，填充为方案大小，均以同级最大的一行为基准</translation>
    </message>
    <message>
      <source>Sensitivity: what a unit of output error costs. Solid bar: measured; hollow: still assumed or from gradients</source>
      <translation>敏感度：单位输出误差的代价。实心条：实测；空心：尚为假定或由梯度估计</translation>
    </message>
    <message>
      <source>Measured: squared distance to the original over its squared norm. Line: one value per block</source>
      <translation>实测：与原权重之差的平方和除以原权重的平方和。折线：每个块一个值</translation>
    </message>
    <message>
      <source>{n} tensors</source>
      <translation>{n} 个张量</translation>
    </message>
    <message>
      <source>Left alone: {why}</source>
      <translation>保持原样：{why}</translation>
    </message>
    <message>
      <source>Its result is in the layer store</source>
      <translation>其结果已在层存储中</translation>
    </message>
    <message>
      <source>Its result is not in the layer store yet</source>
      <translation>其结果尚未在层存储中</translation>
    </message>
    <message>
      <source>{n} of {m} results are in the layer store</source>
      <translation>{m} 个结果中有 {n} 个在层存储中</translation>
    </message>
    <message>
      <source>mixed</source>
      <translation>不一致</translation>
    </message>
    <message>
      <source>kept</source>
      <translation>保留</translation>
    </message>
  </context>
  <context>
    <name>LayersView</name>
    <message>
      <source>Search layers</source>
      <translation>搜索层</translation>
    </message>
    <message>
      <source>Part of a name (down_proj) or a type (linear, conv, norm)</source>
      <translation>名称的一部分（down_proj）或类型（linear、conv、norm）</translation>
    </message>
    <message>
      <source>Open a model to see its layers here</source>
      <translation>打开模型后，这里会显示它的层</translation>
    </message>
    <message>
      <source>{n} bits</source>
      <translation>{n} 位</translation>
    </message>
    <message>
      <source>Prune {n} %</source>
      <translation>剪枝 {n} %</translation>
    </message>
    <message>
      <source>Measure the plan first: let the sliders rest.</source>
      <translation>请先评测方案：停下滑块即可。</translation>
    </message>
    <message>
      <source>Layers</source>
      <translation>层</translation>
    </message>
    <message>
      <source>2 to 8 set the selection's bits, 0 leaves it at 16, [ and ] prune less and more, Space compares</source>
      <translation>按 2 到 8 设置所选层的位数，0 保持 16 位，[ 和 ] 减少和增加剪枝，空格键对比</translation>
    </message>
    <message>
      <source>Select similar</source>
      <translation>选择同类层</translation>
    </message>
    <message>
      <source>Select nothing (whole model)</source>
      <translation>取消选择（整个模型）</translation>
    </message>
    <message>
      <source>Hold as it is in searches</source>
      <translation>搜索时保持不变</translation>
    </message>
    <message>
      <source>Expand all</source>
      <translation>全部展开</translation>
    </message>
    <message>
      <source>Collapse all</source>
      <translation>全部折叠</translation>
    </message>
  </context>
  <context>
    <name>Legend</name>
    <message>
      <source>Colours of the strip, in nats</source>
      <translation>色带的颜色，单位为奈特</translation>
    </message>
    <message>
      <source>KL of a token in nats, on a logarithmic scale that is the same for every plan</source>
      <translation>词元的 KL，单位为奈特，采用对数刻度，所有方案相同</translation>
    </message>
    <message>
      <source>nats</source>
      <translation>奈特</translation>
    </message>
  </context>
  <context>
    <name>Liken</name>
    <message>
      <source>Compare</source>
      <translation>对比</translation>
    </message>
    <message>
      <source>How alike both hold them</source>
      <translation>两者认为它们有多相似</translation>
    </message>
    <message>
      <source>First sentence</source>
      <translation>第一句</translation>
    </message>
    <message>
      <source>Second sentence</source>
      <translation>第二句</translation>
    </message>
    <message>
      <source>cosine</source>
      <translation>余弦</translation>
    </message>
    <message>
      <source>Each sentence's own embedding has kept a cosine of {a} and {b} to the original's, measured</source>
      <translation>两句各自的嵌入与原模型嵌入的余弦为 {a} 和 {b}（实测）</translation>
    </message>
  </context>
  <context>
    <name>Look</name>
    <message>
      <source>original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>variant</source>
      <translation>变体</translation>
    </message>
    <message>
      <source>KL {kl} nats, measured</source>
      <translation>KL {kl} 奈特（实测）</translation>
    </message>
    <message>
      <source>Picture…</source>
      <translation>图片…</translation>
    </message>
    <message>
      <source>Next sample</source>
      <translation>下一个样本</translation>
    </message>
    <message>
      <source>The likeliest classes of both</source>
      <translation>两者最可能的类别</translation>
    </message>
    <message>
      <source>Drop a picture here</source>
      <translation>将图片拖放到此处</translation>
    </message>
    <message>
      <source>Pictures ({suffixes})</source>
      <translation>图片（{suffixes}）</translation>
    </message>
    <message>
      <source>Choose a picture…</source>
      <translation>选择图片…</translation>
    </message>
  </context>
  <context>
    <name>MainWindow</name>
    <message>
      <source>nothing leaves this machine</source>
      <translation>数据不会离开本机</translation>
    </message>
    <message>
      <source>Layers</source>
      <translation>层</translation>
    </message>
    <message>
      <source> ● unsaved plan</source>
      <translation> ● 方案未保存</translation>
    </message>
    <message>
      <source>{n} parameters</source>
      <translation>{n} 个参数</translation>
    </message>
    <message>
      <source>can't be scored here</source>
      <translation>无法在此评测</translation>
    </message>
    <message>
      <source>Data: {name}</source>
      <translation>数据：{name}</translation>
    </message>
    <message>
      <source>No data chosen</source>
      <translation>未选择数据</translation>
    </message>
    <message>
      <source>Choose held-out samples under Run › Choose data…</source>
      <translation>选择留出样本：运行 › 选择数据…</translation>
    </message>
    <message>
      <source>{name} was exported and verified.</source>
      <translation>{name} 已导出并通过验证。</translation>
    </message>
  </context>
  <context>
    <name>Menus</name>
    <message>
      <source>Main</source>
      <translation>主工具栏</translation>
    </message>
    <message>
      <source>&amp;File</source>
      <translation>文件(&amp;F)</translation>
    </message>
    <message>
      <source>&amp;Edit</source>
      <translation>编辑(&amp;E)</translation>
    </message>
    <message>
      <source>&amp;Model</source>
      <translation>模型(&amp;M)</translation>
    </message>
    <message>
      <source>&amp;Run</source>
      <translation>运行(&amp;R)</translation>
    </message>
    <message>
      <source>&amp;View</source>
      <translation>视图(&amp;V)</translation>
    </message>
    <message>
      <source>&amp;Help</source>
      <translation>帮助(&amp;H)</translation>
    </message>
  </context>
  <context>
    <name>Notice</name>
    <message>
      <source>Close the notice</source>
      <translation>关闭通知</translation>
    </message>
    <message>
      <source>Log</source>
      <translation>日志</translation>
    </message>
    <message>
      <source>What the worker did before</source>
      <translation>查看后台任务记录</translation>
    </message>
  </context>
  <context>
    <name>Palette</name>
    <message>
      <source>Commands</source>
      <translation>命令</translation>
    </message>
    <message>
      <source>A command or a layer</source>
      <translation>命令或层名</translation>
    </message>
    <message>
      <source>Found commands</source>
      <translation>找到的命令</translation>
    </message>
    <message>
      <source>select this layer</source>
      <translation>选择这一层</translation>
    </message>
  </context>
  <context>
    <name>Pareto</name>
    <message>
      <source>Front</source>
      <translation>前沿</translation>
    </message>
    <message>
      <source>Line and band: predicted before any tuning, 90 %. Squares: the same bits everywhere, predicted. Solid points: measured. The diamond is the plan in force: drag it along the line, or use the arrow keys; all sliders follow, Undo takes one drag back.</source>
      <translation>曲线与色带：微调前的预测，90 %。方块：各层位数相同，预测。实心点：实测。菱形是当前方案：沿曲线拖动或用方向键；所有滑块随之变化，撤销可收回一次拖动。</translation>
    </message>
    <message>
      <source>mJ (modelled)</source>
      <translation>mJ（模型估算）</translation>
    </message>
    <message>
      <source>A plan measured in quiet time</source>
      <translation>空闲时实测的方案</translation>
    </message>
    <message>
      <source>{bits} bits everywhere, predicted</source>
      <translation>各层 {bits} 位，预测</translation>
    </message>
    <message>
      <source>Variant {n}</source>
      <translation>变体 {n}</translation>
    </message>
    <message>
      <source>measured in quiet time</source>
      <translation>空闲时实测</translation>
    </message>
    <message>
      <source>a click takes it</source>
      <translation>单击采用</translation>
    </message>
    <message>
      <source>The plan in force: drag it along the front</source>
      <translation>当前方案：沿前沿拖动</translation>
    </message>
    <message>
      <source>{metric} {value} ({low} to {high}, 90 %)</source>
      <translation>{metric} {value}（{low} 至 {high}，90 %）</translation>
    </message>
  </context>
  <context>
    <name>PlanPanel</name>
    <message>
      <source>Compress it anyway</source>
      <translation>仍然压缩</translation>
    </message>
    <message>
      <source>Reset</source>
      <translation>重置</translation>
    </message>
    <message>
      <source>Prune</source>
      <translation>剪枝</translation>
    </message>
    <message>
      <source>Share to prune</source>
      <translation>剪枝比例</translation>
    </message>
    <message>
      <source>Bits</source>
      <translation>位数</translation>
    </message>
    <message>
      <source>{n} bits</source>
      <translation>{n} 位</translation>
    </message>
    <message>
      <source>as stored</source>
      <translation>保持原样</translation>
    </message>
    <message>
      <source>mixed, first {shown}</source>
      <translation>不一致，第一个为 {shown}</translation>
    </message>
    <message>
      <source>mixed</source>
      <translation>不一致</translation>
    </message>
    <message>
      <source>The selected layers use different methods; choosing one gives it to all</source>
      <translation>所选各层使用不同的方法；选定一种后将用于所有所选层</translation>
    </message>
    <message>
      <source>Recommended: there is calibration data, and a first result takes about {time} (estimated).</source>
      <translation>推荐：有校准数据，首个结果约需 {time}（估计）。</translation>
    </message>
    <message>
      <source>Chosen because there is nothing to calibrate on; with calibration data, ADMM and Slim are better.</source>
      <translation>因没有可用于校准的数据而选择；有校准数据时，ADMM 和 Slim 更好。</translation>
    </message>
    <message>
      <source>Chosen because a first result of the better methods, ADMM and Slim, would take about {time} (estimated).</source>
      <translation>因更好的方法 ADMM 和 Slim 的首个结果约需 {time}（估计）而选择。</translation>
    </message>
    <message>
      <source>Left alone: {why}</source>
      <translation>保持原样：{why}</translation>
    </message>
    <message>
      <source>{n} of {m} left alone: {why}</source>
      <translation>{m} 个中有 {n} 个保持原样：{why}</translation>
    </message>
    <message>
      <source>Only floating-point weight matrices can be compressed</source>
      <translation>只能压缩浮点权重矩阵</translation>
    </message>
    <message>
      <source>Lift the protection for the selection</source>
      <translation>解除所选层的保护</translation>
    </message>
    <message>
      <source>Open a model first</source>
      <translation>请先打开模型</translation>
    </message>
    <message>
      <source>Share of the weights set to exact zero</source>
      <translation>被置为零的权重所占比例</translation>
    </message>
    <message>
      <source>Bits of each weight; 16 leaves it as stored</source>
      <translation>每个权重的位数；16 表示保持原样</translation>
    </message>
    <message>
      <source>{target} stores {n} of {m} dense: {why}</source>
      <translation>{target} 以稠密形式存储 {m} 个中的 {n} 个：{why}</translation>
    </message>
    <message>
      <source>Say nothing of its own again and inherit</source>
      <translation>不再单独设定，改为继承</translation>
    </message>
    <message>
      <source>Leave the whole model as it was stored</source>
      <translation>让整个模型保持原样</translation>
    </message>
    <message>
      <source>Nothing to reset: nothing is said here</source>
      <translation>无需重置：这里没有单独设定</translation>
    </message>
    <message>
      <source>Whole model</source>
      <translation>整个模型</translation>
    </message>
    <message>
      <source>{n} layers</source>
      <translation>{n} 层</translation>
    </message>
    <message>
      <source>from model</source>
      <translation>来自模型</translation>
    </message>
    <message>
      <source>from group</source>
      <translation>来自组</translation>
    </message>
    <message>
      <source>own</source>
      <translation>单独设定</translation>
    </message>
    <message>
      <source>Prune {n} %</source>
      <translation>剪枝 {n} %</translation>
    </message>
    <message>
      <source>Protection</source>
      <translation>保护</translation>
    </message>
  </context>
  <context>
    <name>Playground</name>
    <message>
      <source>The samples on which both differ most</source>
      <translation>两者差别最大的样本</translation>
    </message>
    <message>
      <source>This network is for none of what can be tried here: prompts, pictures, recordings, sentences.</source>
      <translation>此网络不适用于这里可试的内容：提示词、图片、录音、句子。</translation>
    </message>
    <message>
      <source>The plan changes nothing yet: both are the original.</source>
      <translation>方案尚未改变任何内容：两者都是原模型。</translation>
    </message>
    <message>
      <source>This was said under another plan or on other data.</source>
      <translation>这是在另一方案或另一数据下得到的。</translation>
    </message>
    <message>
      <source>Choose held-out data first, under Run.</source>
      <translation>请先在“运行”中选择留出数据。</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>停止</translation>
    </message>
    <message>
      <source>Find the worst samples</source>
      <translation>查找最差的样本</translation>
    </message>
    <message>
      <source>Runs original and variant over the held-out data and lists where they differ most</source>
      <translation>在留出数据上运行原模型与变体，列出差别最大之处</translation>
    </message>
    <message>
      <source>Ask both</source>
      <translation>询问两者</translation>
    </message>
    <message>
      <source>What the average hides: single samples may suffer most. A click puts one into the playground.</source>
      <translation>平均值会掩盖问题：个别样本可能受损最重。点击即可放入试验场。</translation>
    </message>
    <message>
      <source>KL a token, passages of 32 tokens</source>
      <translation>每词元 KL，每段 32 个词元</translation>
    </message>
    <message>
      <source>KL a frame of 64 ms</source>
      <translation>每 64 毫秒一帧的 KL</translation>
    </message>
    <message>
      <source>{unit}, dearest first</source>
      <translation>{unit}，损失最大者在前</translation>
    </message>
    <message>
      <source>KL a picture</source>
      <translation>每张图片的 KL</translation>
    </message>
    <message>
      <source>of another plan</source>
      <translation>属于另一方案</translation>
    </message>
  </context>
  <context>
    <name>Playing</name>
    <message>
      <source>Asking both</source>
      <translation>正在询问两者</translation>
    </message>
    <message>
      <source>Looking at {name}</source>
      <translation>正在查看 {name}</translation>
    </message>
    <message>
      <source>Looking at a sample</source>
      <translation>正在查看样本</translation>
    </message>
    <message>
      <source>Listening to {name}</source>
      <translation>正在聆听 {name}</translation>
    </message>
    <message>
      <source>a sample</source>
      <translation>一个样本</translation>
    </message>
    <message>
      <source>Comparing two sentences</source>
      <translation>正在比较两个句子</translation>
    </message>
    <message>
      <source>Looking for the worst samples</source>
      <translation>正在查找最差的样本</translation>
    </message>
  </context>
  <context>
    <name>Pricing</name>
    <message>
      <source>Sensing the layers</source>
      <translation>正在感知各层</translation>
    </message>
    <message>
      <source>Predicting the front</source>
      <translation>正在预测前沿</translation>
    </message>
    <message>
      <source>Front: {n} MB</source>
      <translation>前沿：{n} MB</translation>
    </message>
    <message>
      <source>Solving for the goal</source>
      <translation>正在求解目标</translation>
    </message>
    <message>
      <source>Quietly measuring a plan of the front</source>
      <translation>空闲中实测前沿上的一个方案</translation>
    </message>
    <message>
      <source>Quiet time found a plan of the same size that loses {less} less on calibration data: a dot in the front</source>
      <translation>空闲时找到一个同样大小的方案，在校准数据上损失减少 {less}：它是前沿图上的一个小点</translation>
    </message>
    <message>
      <source>Quietly looking for a better plan of the same size</source>
      <translation>空闲时寻找同样大小的更好方案</translation>
    </message>
    <message>
      <source>Quietly running every option of every layer</source>
      <translation>空闲中逐一运行各层的每个选项</translation>
    </message>
    <message>
      <source>Looking for the guilty layers</source>
      <translation>正在查找问题层</translation>
    </message>
    <message>
      <source>More bits for the guilty</source>
      <translation>给问题层更多位</translation>
    </message>
  </context>
  <context>
    <name>Recovery</name>
    <message>
      <source>Cancel</source>
      <translation>取消</translation>
    </message>
    <message>
      <source>File…</source>
      <translation>文件…</translation>
    </message>
    <message>
      <source>Folder…</source>
      <translation>文件夹…</translation>
    </message>
    <message>
      <source>Automatic</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>Teacher…</source>
      <translation>教师…</translation>
    </message>
    <message>
      <source>No training</source>
      <translation>不训练</translation>
    </message>
    <message>
      <source>Way to train</source>
      <translation>训练方式</translation>
    </message>
    <message>
      <source>Stop and forget this training; Pause keeps it</source>
      <translation>停止并丢弃本次训练；“暂停”则会保留</translation>
    </message>
    <message>
      <source>Your own text, images or recordings to learn from ({suffixes})</source>
      <translation>用于学习的您自己的文本、图像或录音（{suffixes}）</translation>
    </message>
    <message>
      <source>A folder of texts, or of pictures: in one subfolder per class, or without labels</source>
      <translation>文本文件夹，或图片文件夹：每类一个子文件夹，或不带标签</translation>
    </message>
    <message>
      <source>Learn from the calibration data, taught by the original</source>
      <translation>从校准数据学习,由原模型作教师</translation>
    </message>
    <message>
      <source>all</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>Training samples</source>
      <translation>训练样本数</translation>
    </message>
    <message>
      <source>Tokens, sentences or images to learn from; every eighth piece is kept apart for the check</source>
      <translation>用于学习的词元、句子或图像数；每第八份留作检验</translation>
    </message>
    <message>
      <source>Text, images or recordings ({suffixes})</source>
      <translation>文本、图像或录音（{suffixes}）</translation>
    </message>
    <message>
      <source>Training data</source>
      <translation>训练数据</translation>
    </message>
    <message>
      <source>The original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>Another model's folder…</source>
      <translation>另一个模型的文件夹…</translation>
    </message>
    <message>
      <source>Another model's file…</source>
      <translation>另一个模型的文件…</translation>
    </message>
    <message>
      <source>Teacher</source>
      <translation>教师</translation>
    </message>
    <message>
      <source>Models ({suffixes})</source>
      <translation>模型({suffixes})</translation>
    </message>
    <message>
      <source>Training after compression: better answers at the same bytes</source>
      <translation>压缩之后的训练：字节数不变，回答更好</translation>
    </message>
    <message>
      <source>Run the stages</source>
      <translation>运行各阶段</translation>
    </message>
    <message>
      <source>Train</source>
      <translation>训练</translation>
    </message>
    <message>
      <source>Pause</source>
      <translation>暂停</translation>
    </message>
    <message>
      <source>Continue</source>
      <translation>继续</translation>
    </message>
    <message>
      <source>Stop and keep what was trained: Continue goes on from there</source>
      <translation>停止并保留已训练的部分，“继续”会从那里接着训练</translation>
    </message>
    <message>
      <source>Training never starts by itself</source>
      <translation>训练从不自行开始</translation>
    </message>
    <message>
      <source>Train and measure one stage after the other; what was run before is taken as it is</source>
      <translation>逐个训练并测量各阶段；已运行过的直接沿用</translation>
    </message>
    <message>
      <source>the calibration data</source>
      <translation>校准数据</translation>
    </message>
    <message>
      <source>the original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>Learns from {name}, taught by {teacher}</source>
      <translation>从{name}学习,教师为{teacher}</translation>
    </message>
    <message>
      <source>Learns from {name}</source>
      <translation>学习数据：{name}</translation>
    </message>
    <message>
      <source>Any model with the same vocabulary, or the same classes; it is looked at first</source>
      <translation>任何词表或类别相同的模型;会先检查它</translation>
    </message>
    <message>
      <source>Fine-tuning has no teacher; choose Distil</source>
      <translation>微调没有教师;请选择蒸馏</translation>
    </message>
    <message>
      <source>Chosen under Calibration; never what the variants are scored on</source>
      <translation>在“校准”中选择；绝不会用到评测数据</translation>
    </message>
    <message>
      <source>Free recovery comes first, in seconds and without training; its gain is told here.</source>
      <translation>先做免费恢复：只需几秒，不训练；其收益会显示在这里。</translation>
    </message>
    <message>
      <source>Free recovery: no closed form brought it nearer to the original (measured)</source>
      <translation>免费恢复：没有任何闭式修正使其更接近原模型（实测）</translation>
    </message>
    <message>
      <source>Free recovery: distance to the original {before} → {after} on data it did not see (measured)</source>
      <translation>免费恢复：未见数据上与原模型的距离 {before} → {after}（实测）</translation>
    </message>
    <message>
      <source>Batch norms are counted anew, mean errors go into biases, scales and norm gains are refitted by least squares; each only where pieces it was not made from come nearer to the original. No byte is added.</source>
      <translation>重新统计批归一化，把平均误差并入偏置，用最小二乘重新拟合缩放和归一化增益；每一步只在未参与拟合的数据更接近原模型时才采用。不增加任何字节。</translation>
    </message>
    <message>
      <source>task</source>
      <translation>任务</translation>
    </message>
    <message>
      <source>teacher, T = {n}</source>
      <translation>教师，T = {n}</translation>
    </message>
    <message>
      <source>Loss before training: {parts}, measured</source>
      <translation>训练前的损失：{parts}，实测</translation>
    </message>
    <message>
      <source>On {n} pieces it does not learn from.</source>
      <translation>取自 {n} 段不参与学习的数据。</translation>
    </message>
    <message>
      <source>The larger share leads: move λ and the temperature until both terms count as you want.</source>
      <translation>占比较大的一项起主导作用：移动 λ 和温度，直到两项的分量如你所愿。</translation>
    </message>
    <message>
      <source>Step {n} of {m}</source>
      <translation>第 {n} 步，共 {m} 步</translation>
    </message>
    <message>
      <source>{n} sent a round, {energy} to carry (modelled)</source>
      <translation>每轮发送 {n}，传输约需 {energy}（建模）</translation>
    </message>
    <message>
      <source>loss on data it does not see {before} → {after} (measured)</source>
      <translation>未见数据上的损失 {before} → {after}（实测）</translation>
    </message>
    <message>
      <source>Paused: Continue goes on from here</source>
      <translation>已暂停，“继续”会从这里接着训练</translation>
    </message>
    <message>
      <source>{time} left</source>
      <translation>剩余 {time}</translation>
    </message>
    <message>
      <source>Stage {n} of {m}</source>
      <translation>阶段 {n}/{m}</translation>
    </message>
    <message>
      <source>No stage is trained: each is compressed and measured.</source>
      <translation>没有需要训练的阶段：逐个压缩并测量。</translation>
    </message>
    <message>
      <source>How long it takes is known once the original is measured.</source>
      <translation>测完原模型后即可估计所需时间。</translation>
    </message>
    <message>
      <source>Takes about {time}, {energy}, {grams} CO₂e ({how})</source>
      <translation>约需 {time}，{energy}，{grams} CO₂e（{how}）</translation>
    </message>
    <message>
      <source>a step was measured; energy modelled</source>
      <translation>按实测步长计，能耗为模型估算</translation>
    </message>
    <message>
      <source>modelled: passes counted, at the original's pace</source>
      <translation>模型估算：遍数按计算量计，速度取自原模型实测</translation>
    </message>
    <message>
      <source>{time} of this machine at {watts}</source>
      <translation>本机以 {watts} 工作 {time}</translation>
    </message>
    <message>
      <source>Kept: loss on data it did not see {before} → {after} (measured)</source>
      <translation>已采用：未见数据上的损失 {before} → {after}（实测）</translation>
    </message>
    <message>
      <source>Refused, as it was no better: loss on data it did not see {before} → {after} (measured)</source>
      <translation>因没有变好而未采用：未见数据上的损失 {before} → {after}（实测）</translation>
    </message>
    <message>
      <source>Stopped early, as the loss was no number twice; the best state counts.</source>
      <translation>损失两次不是数值，已提前停止；以最佳状态为准。</translation>
    </message>
  </context>
  <context>
    <name>SensitivityPanel</name>
    <message>
      <source>Sensitivity</source>
      <translation>敏感度</translation>
    </message>
    <message>
      <source>What an error of a layer costs. Solid: measured by really disturbing it; hatched: from gradients; hollow: only assumed from its type so far. A click selects the layer.</source>
      <translation>某层出现误差的代价。实心：真实扰动后实测；斜线：由梯度估计；空心：暂按类型假定。单击选择该层。</translation>
    </message>
    <message>
      <source>Give them more bits</source>
      <translation>给它们更多位</translation>
    </message>
    <message>
      <source>Cost of an error</source>
      <translation>误差的代价</translation>
    </message>
    <message>
      <source>Cost in this plan</source>
      <translation>在此方案中的代价</translation>
    </message>
    <message>
      <source>costliest first</source>
      <translation>代价高者在前</translation>
    </message>
    <message>
      <source>by type</source>
      <translation>按类型</translation>
    </message>
    <message>
      <source>in the model's order</source>
      <translation>按模型顺序</translation>
    </message>
    <message>
      <source>What the bars show</source>
      <translation>条形表示什么</translation>
    </message>
    <message>
      <source>What a unit of relative output error costs, or what the present plan is predicted to cost there</source>
      <translation>单位相对输出误差的代价，或当前方案在该处的预测代价</translation>
    </message>
    <message>
      <source>How the bars are sorted</source>
      <translation>条形如何排序</translation>
    </message>
    <message>
      <source>About twice the bits and half the pruning for these layers; Undo takes it back</source>
      <translation>这些层位数约加倍、剪枝减半；可撤销</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>停止</translation>
    </message>
    <message>
      <source>Sense again</source>
      <translation>重新感知</translation>
    </message>
    <message>
      <source>Sense the layers</source>
      <translation>感知各层</translation>
    </message>
    <message>
      <source>Choose held-out data first, under Run.</source>
      <translation>请先在“运行”中选择留出数据。</translation>
    </message>
    <message>
      <source>Disturbs one layer after the other and measures the answers; what is finished is kept, so stopping loses nothing</source>
      <translation>逐层扰动并实测输出；已完成的会保留，停止不会丢失任何结果</translation>
    </message>
    <message>
      <source>One pass over the layers, then every setting shows its price at once.</source>
      <translation>遍历各层一次，之后每个设置立即显示其代价。</translation>
    </message>
    <message>
      <source>{n} layers measured</source>
      <translation>已实测 {n} 层</translation>
    </message>
    <message>
      <source>{n} of {m} layers measured, the others assumed</source>
      <translation>已实测 {m} 层中的 {n} 层，其余为假定</translation>
    </message>
    <message>
      <source>Measured, in {n} evaluations</source>
      <translation>实测，共 {n} 次评测</translation>
    </message>
    <message>
      <source>{unit} per unit of error</source>
      <translation>每单位误差的 {unit}</translation>
    </message>
    <message>
      <source>{n} layers, {order}</source>
      <translation>{n} 层，{order}</translation>
    </message>
    <message>
      <source>{type}: {n} layers</source>
      <translation>{type}：{n} 层</translation>
    </message>
    <message>
      <source>({low} to {high}, 90 %)</source>
      <translation>（{low} 至 {high}，90 %）</translation>
    </message>
    <message>
      <source>a click selects it</source>
      <translation>单击选择</translation>
    </message>
    <message>
      <source>measured: this layer alone was disturbed</source>
      <translation>实测：仅扰动了该层</translation>
    </message>
    <message>
      <source>estimated from gradients</source>
      <translation>由梯度估计</translation>
    </message>
    <message>
      <source>assumed from its type, not measured yet</source>
      <translation>按类型假定，尚未实测</translation>
    </message>
    <message>
      <source>predicted for the present plan</source>
      <translation>当前方案的预测</translation>
    </message>
  </context>
  <context>
    <name>Session</name>
    <message>
      <source>Open the recipe's model first: {source}</source>
      <translation>请先打开配方所用的模型：{source}</translation>
    </message>
    <message>
      <source>Open recipe {name}</source>
      <translation>打开配方 {name}</translation>
    </message>
    <message>
      <source>Exporting {name}</source>
      <translation>导出 {name}</translation>
    </message>
    <message>
      <source>The weights have changed since they were measured, so the history was left out.</source>
      <translation>权重文件在评测之后有改动，因此未恢复历史。</translation>
    </message>
    <message>
      <source>Your own network was not run again; Model › Use my own network… does so after your yes.</source>
      <translation>没有再次运行您自己的网络；可用“模型 › 使用我自己的网络…”，确认后运行。</translation>
    </message>
    <message>
      <source>Opening {name}</source>
      <translation>打开 {name}</translation>
    </message>
    <message>
      <source>Counting the zeros</source>
      <translation>统计零值</translation>
    </message>
    <message>
      <source>Scoring the original</source>
      <translation>评测原模型</translation>
    </message>
    <message>
      <source>Reset</source>
      <translation>重置</translation>
    </message>
    <message>
      <source>Tracing the network</source>
      <translation>追踪网络</translation>
    </message>
    <message>
      <source>Measuring the plan</source>
      <translation>评测方案</translation>
    </message>
    <message>
      <source>Restore variant {n}</source>
      <translation>恢复变体 {n}</translation>
    </message>
    <message>
      <source>Back to the original</source>
      <translation>回到原模型</translation>
    </message>
    <message>
      <source>Inspecting {name}</source>
      <translation>检视 {name}</translation>
    </message>
  </context>
  <context>
    <name>SizeChart</name>
    <message>
      <source>Size</source>
      <translation>大小</translation>
    </message>
    <message>
      <source>exact bytes, orange before, blue now</source>
      <translation>精确字节数，橙色为之前，蓝色为现在</translation>
    </message>
    <message>
      <source>{n} layers; a click selects them</source>
      <translation>{n} 层；单击选中它们</translation>
    </message>
    <message>
      <source>{n} others</source>
      <translation>其他 {n} 个</translation>
    </message>
  </context>
  <context>
    <name>Stages</name>
    <message>
      <source>Add stage</source>
      <translation>添加阶段</translation>
    </message>
    <message>
      <source>Stages of the plan</source>
      <translation>方案的各阶段</translation>
    </message>
    <message>
      <source>Earlier</source>
      <translation>前移</translation>
    </message>
    <message>
      <source>Later</source>
      <translation>后移</translation>
    </message>
    <message>
      <source>Remove the stage</source>
      <translation>移除该阶段</translation>
    </message>
    <message>
      <source>Remove the stage (Delete); Undo brings it back</source>
      <translation>移除该阶段 (Delete)；撤销可恢复</translation>
    </message>
    <message>
      <source>Another stage after this one: it begins with what this one leaves and keeps its settings</source>
      <translation>在这一阶段之后再加一个：它从这一阶段留下的模型开始，并沿用其设置</translation>
    </message>
    <message>
      <source>not run</source>
      <translation>未运行</translation>
    </message>
    <message>
      <source>measured, {size}</source>
      <translation>实测，{size}</translation>
    </message>
    <message>
      <source>Not run as it stands: Run the stages (F7) does it</source>
      <translation>尚未按现状运行：“运行各阶段”(F7) 会运行它</translation>
    </message>
    <message>
      <source>This one is what the sliders, the layers and Recovery edit</source>
      <translation>滑块、层列表和“恢复”编辑的就是这一阶段</translation>
    </message>
    <message>
      <source>A click or the arrow keys edit it</source>
      <translation>点击或用方向键即可编辑它</translation>
    </message>
    <message>
      <source>Double click names it</source>
      <translation>双击可命名</translation>
    </message>
    <message>
      <source>It is the first stage already</source>
      <translation>它已是第一个阶段</translation>
    </message>
    <message>
      <source>It is the last stage already</source>
      <translation>它已是最后一个阶段</translation>
    </message>
    <message>
      <source>Editing stage {n} of {m}</source>
      <translation>正在编辑阶段 {n}/{m}</translation>
    </message>
    <message>
      <source>All figures: what stage {n} of {m} leaves ({what}), not the whole plan</source>
      <translation>所有数字：阶段 {n}/{m} 留下的结果（{what}），而非整个方案</translation>
    </message>
    <message>
      <source>after stage {n} of {m}</source>
      <translation>阶段 {n}/{m} 之后</translation>
    </message>
  </context>
  <context>
    <name>Staging</name>
    <message>
      <source>Open a model first</source>
      <translation>请先打开模型</translation>
    </message>
    <message>
      <source>Stages need data to be scored on; choose some under Run.</source>
      <translation>各阶段需要用数据评分；请在“运行”菜单中选择。</translation>
    </message>
    <message>
      <source>This stage changes nothing yet: prune, quantize, cut or train first</source>
      <translation>这个阶段还没有任何改动：请先剪枝、量化、裁剪或训练</translation>
    </message>
    <message>
      <source>Add a stage</source>
      <translation>添加阶段</translation>
    </message>
    <message>
      <source>Remove stage {n}</source>
      <translation>移除阶段 {n}</translation>
    </message>
    <message>
      <source>Move stage {n}</source>
      <translation>移动阶段 {n}</translation>
    </message>
    <message>
      <source>Rename stage {n}</source>
      <translation>重命名阶段 {n}</translation>
    </message>
    <message>
      <source>The stages before this one were not run yet: Run the stages (F7) runs and measures each.</source>
      <translation>前面的阶段尚未运行：“运行各阶段”(F7) 会逐个运行并测量。</translation>
    </message>
  </context>
  <context>
    <name>Strip</name>
    <message>
      <source>KL per token</source>
      <translation>每词元 KL</translation>
    </message>
    <message>
      <source>One cell a token of the prompt (low) and of the original's answer (high): how far the variant's guess at it is from the original's, both reading the original's text.</source>
      <translation>提示（矮格）与原模型回答（高格）的每个词元一格：两者读同样的原文时，变体对该词元的预测与原模型相差多远。</translation>
    </message>
    <message>
      <source>original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>variant</source>
      <translation>变体</translation>
    </message>
  </context>
  <context>
    <name>Talk</name>
    <message>
      <source>Ask both</source>
      <translation>询问两者</translation>
    </message>
    <message>
      <source>The beginning of a text, from which both go on</source>
      <translation>一段文字的开头，由两者续写</translation>
    </message>
    <message>
      <source>Prompt</source>
      <translation>提示</translation>
    </message>
    <message>
      <source>0: always the likeliest token. Above, tokens are drawn with the same noise for both.</source>
      <translation>0：总取最可能的词元。大于 0 时按同样的随机噪声为两者抽取词元。</translation>
    </message>
    <message>
      <source>How long an answer may be</source>
      <translation>回答的最大长度</translation>
    </message>
    <message>
      <source>Another number draws other tokens, where the temperature is above 0</source>
      <translation>温度大于 0 时，换一个数就会抽到别的词元</translation>
    </message>
    <message>
      <source>temp. </source>
      <translation>温度 </translation>
    </message>
    <message>
      <source> tokens</source>
      <translation> 词元</translation>
    </message>
    <message>
      <source>seed </source>
      <translation>种子 </translation>
    </message>
    <message>
      <source>Temperature</source>
      <translation>温度</translation>
    </message>
    <message>
      <source>Tokens</source>
      <translation>词元数</translation>
    </message>
    <message>
      <source>Seed</source>
      <translation>种子</translation>
    </message>
    <message>
      <source>Original</source>
      <translation>原模型</translation>
    </message>
    <message>
      <source>Variant</source>
      <translation>变体</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>停止</translation>
    </message>
    <message>
      <source>{n} of {m} tokens differ</source>
      <translation>{m} 个词元中有 {n} 个不同</translation>
    </message>
    <message>
      <source>every token the same</source>
      <translation>所有词元相同</translation>
    </message>
    <message>
      <source>KL {kl} a token of the answer, measured</source>
      <translation>回答每词元 KL {kl}（实测）</translation>
    </message>
    <message>
      <source>of the prompt {kl}</source>
      <translation>提示 {kl}</translation>
    </message>
  </context>
  <context>
    <name>Trainer</name>
    <message>
      <source>Open a model first</source>
      <translation>请先打开模型</translation>
    </message>
    <message>
      <source>Training needs data to score the result on; choose some under Run.</source>
      <translation>训练结果需要数据来评测；请在“运行”中选择。</translation>
    </message>
    <message>
      <source>Choose a way to train first</source>
      <translation>请先选择训练方式</translation>
    </message>
    <message>
      <source>Nothing is compressed yet, so there is nothing to recover</source>
      <translation>还没有压缩任何内容，因此无需恢复</translation>
    </message>
    <message>
      <source>Looking at the teacher</source>
      <translation>查看教师模型</translation>
    </message>
    <message>
      <source>Measuring the plan</source>
      <translation>评测方案</translation>
    </message>
    <message>
      <source>Forgetting the training</source>
      <translation>正在丢弃训练</translation>
    </message>
    <message>
      <source>Running the stages</source>
      <translation>正在运行各阶段</translation>
    </message>
    <message>
      <source>Training the plan</source>
      <translation>正在训练方案</translation>
    </message>
    <message>
      <source>The training of a stage was refused, as it was no better; the next stage begins with the stage untrained.</source>
      <translation>有一个阶段的训练没有改善，已被拒绝；下一阶段从该阶段未训练的结果开始。</translation>
    </message>
    <message>
      <source>The training was refused: what it made is no better on data it did not see. The plan's model stays as it was.</source>
      <translation>训练结果未被采用：它在未见数据上没有变好。方案的模型保持原样。</translation>
    </message>
  </context>
  <context>
    <name>Tune</name>
    <message>
      <source>Tune norms and row scales</source>
      <translation>微调归一化与行缩放</translation>
    </message>
    <message>
      <source>Trains norm gains, biases and one factor per row towards the original's answers; no byte is added. Half-checked: by itself at 3 bits and below, or half the weights gone</source>
      <translation>训练归一化增益、偏置和每行一个系数,使其接近原模型的回答;不增加任何字节。半选:在 3 位及以下或剪去一半权重时自动进行</translation>
    </message>
  </context>
  <context>
    <name>VerdictDialog</name>
    <message>
      <source>Exported and verified</source>
      <translation>已导出并通过验证</translation>
    </message>
    <message>
      <source>The export differs</source>
      <translation>导出结果不一致</translation>
    </message>
    <message>
      <source>{path}
reopened in a fresh process by {tool}</source>
      <translation>{path}
已在新进程中用 {tool} 重新打开</translation>
    </message>
    <message>
      <source>{path}
is not written: {tool} found something else in it, and the new file was removed. Please report this.</source>
      <translation>{path}
未写入：{tool} 在新进程中读到的内容不一致，新文件已删除。请报告此问题。</translation>
    </message>
  </context>
  <context>
    <name>Watching</name>
    <message>
      <source>Federation {name}</source>
      <translation>联邦 {name}</translation>
    </message>
    <message>
      <source>No round has ended yet; clients may still be on their way.</source>
      <translation>还没有完成的轮次；客户端可能还在路上。</translation>
    </message>
    <message>
      <source>Round {n} of {m}</source>
      <translation>第 {n} 轮，共 {m} 轮</translation>
    </message>
    <message>
      <source>{n} clients heard</source>
      <translation>收到 {n} 个客户端的结果</translation>
    </message>
    <message>
      <source>loss on the server's data {before} → {after} (measured)</source>
      <translation>服务器数据上的损失 {before} → {after}（实测）</translation>
    </message>
    <message>
      <source>{n} sent a round, {energy} to carry (modelled)</source>
      <translation>每轮发送 {n}，传输约需 {energy}（建模）</translation>
    </message>
    <message>
      <source>round {n} without {name}: {why}</source>
      <translation>第 {n} 轮缺 {name}：{why}</translation>
    </message>
    <message>
      <source>over</source>
      <translation>已结束</translation>
    </message>
  </context>
  <context>
    <name>Weighing</name>
    <message>
      <source>Weighing the loss</source>
      <translation>正在称量损失</translation>
    </message>
  </context>
  <context>
    <name>Welcome</name>
    <message>
      <source>Slim Studio</source>
      <translation>Slim Studio</translation>
    </message>
    <message>
      <source>Make a neural network smaller and greener, and see at once what it costs. Begin with a sample:</source>
      <translation>让神经网络更小、更节能，代价一目了然。从一个示例开始：</translation>
    </message>
    <message>
      <source>Open folder…</source>
      <translation>打开文件夹…</translation>
    </message>
    <message>
      <source>Open file…</source>
      <translation>打开文件…</translation>
    </message>
    <message>
      <source>or drop a model here: a transformers folder, .safetensors, .gguf, .pt, .pt2</source>
      <translation>或将模型拖到这里：transformers 文件夹、.safetensors、.gguf、.pt、.pt2</translation>
    </message>
    <message>
      <source>Recent</source>
      <translation>最近打开</translation>
    </message>
    <message>
      <source>{metric} {value}, uncompressed</source>
      <translation>{metric} {value}（未压缩）</translation>
    </message>
  </context>
  <context>
    <name>WhatIf</name>
    <message>
      <source>What if…</source>
      <translation>假如……</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>设备</translation>
    </message>
    <message>
      <source>Its watts under full load</source>
      <translation>满载功率（瓦）</translation>
    </message>
    <message>
      <source>Region</source>
      <translation>地区</translation>
    </message>
    <message>
      <source>Grid, g CO₂e a kWh</source>
      <translation>电网，每千瓦时克 CO₂e</translation>
    </message>
    <message>
      <source>PUE of the data centre</source>
      <translation>数据中心 PUE</translation>
    </message>
    <message>
      <source>Tokens are</source>
      <translation>词元</translation>
    </message>
    <message>
      <source>Batch</source>
      <translation>批量</translation>
    </message>
    <message>
      <source>Context, tokens</source>
      <translation>上下文（词元）</translation>
    </message>
    <message>
      <source>Tokens or samples a day</source>
      <translation>每天的词元或样本数</translation>
    </message>
    <message>
      <source>written one at a time</source>
      <translation>逐个写出</translation>
    </message>
    <message>
      <source>read at once</source>
      <translation>一次读入</translation>
    </message>
    <message>
      <source>catalogue</source>
      <translation>目录</translation>
    </message>
    <message>
      <source>yearly mean of the region</source>
      <translation>该地区年平均</translation>
    </message>
    <message>
      <source>Before</source>
      <translation>之前</translation>
    </message>
    <message>
      <source>Now</source>
      <translation>现在</translation>
    </message>
    <message>
      <source>Times less (90 %)</source>
      <translation>减少倍数（90 %）</translation>
    </message>
    <message>
      <source>g CO₂e a million</source>
      <translation>每百万克 CO₂e</translation>
    </message>
    <message>
      <source>kWh a year saved</source>
      <translation>每年节省千瓦时</translation>
    </message>
    <message>
      <source>Paid back after days</source>
      <translation>回本天数</translation>
    </message>
    <message>
      <source>metered</source>
      <translation>实测</translation>
    </message>
    <message>
      <source>modelled</source>
      <translation>模型估算</translation>
    </message>
    <message>
      <source>The slimming itself has taken {joules} on this machine ({low} to {high}, 90 %, {how}; {seconds} of work).</source>
      <translation>瘦身本身在这台机器上耗能 {joules}（{low} 至 {high}，90 %，{how}；工作 {seconds}）。</translation>
    </message>
  </context>
  <context>
    <name>Whole</name>
    <message>
      <source>Rotate the hidden states</source>
      <translation>旋转隐藏状态</translation>
    </message>
    <message>
      <source>Spreads outliers over all features by a Hadamard matrix; the network answers as before</source>
      <translation>用 Hadamard 矩阵把离群值分散到所有特征;网络的回答不变</translation>
    </message>
    <message>
      <source>The output layer can't share the embedding any more: {n} more</source>
      <translation>输出层不能再与嵌入共享:增加 {n}</translation>
    </message>
  </context>
  <context>
    <name>actions</name>
    <message>
      <source>Open a model first.</source>
      <translation>请先打开模型。</translation>
    </message>
    <message>
      <source>Open folder…</source>
      <translation>打开文件夹…</translation>
    </message>
    <message>
      <source>Open a model folder</source>
      <translation>打开模型文件夹</translation>
    </message>
    <message>
      <source>Open file…</source>
      <translation>打开文件…</translation>
    </message>
    <message>
      <source>Weights ({suffixes});;All files (*)</source>
      <translation>权重 ({suffixes});;所有文件 (*)</translation>
    </message>
    <message>
      <source>Open a weights file</source>
      <translation>打开权重文件</translation>
    </message>
    <message>
      <source>Open recipe…</source>
      <translation>打开配方…</translation>
    </message>
    <message>
      <source>Open a recipe</source>
      <translation>打开配方</translation>
    </message>
    <message>
      <source>Save recipe</source>
      <translation>保存配方</translation>
    </message>
    <message>
      <source>Save the recipe</source>
      <translation>保存配方</translation>
    </message>
    <message>
      <source>Save recipe as…</source>
      <translation>配方另存为…</translation>
    </message>
    <message>
      <source>Export…</source>
      <translation>导出…</translation>
    </message>
    <message>
      <source>Close model</source>
      <translation>关闭模型</translation>
    </message>
    <message>
      <source>No session was kept yet.</source>
      <translation>还没有保存过会话。</translation>
    </message>
    <message>
      <source>Reopen the last session</source>
      <translation>重新打开上次会话</translation>
    </message>
    <message>
      <source>Start with the last session</source>
      <translation>启动时恢复上次会话</translation>
    </message>
    <message>
      <source>Cache…</source>
      <translation>缓存…</translation>
    </message>
    <message>
      <source>Quit</source>
      <translation>退出</translation>
    </message>
    <message>
      <source>Recipes (*.toml)</source>
      <translation>配方 (*.toml)</translation>
    </message>
    <message>
      <source>Nothing to undo.</source>
      <translation>没有可撤销的操作。</translation>
    </message>
    <message>
      <source>Nothing to redo.</source>
      <translation>没有可重做的操作。</translation>
    </message>
    <message>
      <source>Undo</source>
      <translation>撤销</translation>
    </message>
    <message>
      <source>Redo</source>
      <translation>重做</translation>
    </message>
    <message>
      <source>Reset selection to inherited</source>
      <translation>将所选层重置为继承</translation>
    </message>
    <message>
      <source>{n} bits</source>
      <translation>{n} 位</translation>
    </message>
    <message>
      <source>Bits</source>
      <translation>位数</translation>
    </message>
    <message>
      <source>Prune less</source>
      <translation>减少剪枝</translation>
    </message>
    <message>
      <source>Prune more</source>
      <translation>增加剪枝</translation>
    </message>
    <message>
      <source>Select a layer first.</source>
      <translation>请先选择一个层。</translation>
    </message>
    <message>
      <source>Select similar</source>
      <translation>选择同类层</translation>
    </message>
    <message>
      <source>Select nothing</source>
      <translation>取消选择</translation>
    </message>
    <message>
      <source>Search layers</source>
      <translation>搜索层</translation>
    </message>
    <message>
      <source>Count the zeros</source>
      <translation>统计零值</translation>
    </message>
    <message>
      <source>Use my own network…</source>
      <translation>使用我自己的网络…</translation>
    </message>
    <message>
      <source>Python file with your network</source>
      <translation>定义网络的 Python 文件</translation>
    </message>
    <message>
      <source>Python (*.py)</source>
      <translation>Python (*.py)</translation>
    </message>
    <message>
      <source>Nothing is running.</source>
      <translation>没有正在运行的任务。</translation>
    </message>
    <message>
      <source>Evaluate</source>
      <translation>评测</translation>
    </message>
    <message>
      <source>Choose data…</source>
      <translation>选择数据…</translation>
    </message>
    <message>
      <source>Text, images or recordings ({suffixes})</source>
      <translation>文本、图像或录音（{suffixes}）</translation>
    </message>
    <message>
      <source>Held-out data</source>
      <translation>留出数据</translation>
    </message>
    <message>
      <source>Choose data folder…</source>
      <translation>选择数据文件夹…</translation>
    </message>
    <message>
      <source>Choose held-out data first, under Run.</source>
      <translation>请先在“运行”中选择留出数据。</translation>
    </message>
    <message>
      <source>Sense the layers</source>
      <translation>感知各层</translation>
    </message>
    <message>
      <source>The plan changes nothing yet.</source>
      <translation>方案尚未改变任何内容。</translation>
    </message>
    <message>
      <source>Which layer is guilty?</source>
      <translation>哪一层有问题？</translation>
    </message>
    <message>
      <source>Choose a way to train first, under Recovery.</source>
      <translation>请先在“恢复”中选择训练方式。</translation>
    </message>
    <message>
      <source>Train or pause</source>
      <translation>训练或暂停</translation>
    </message>
    <message>
      <source>Add stage</source>
      <translation>添加阶段</translation>
    </message>
    <message>
      <source>No stage comes before the one that is edited.</source>
      <translation>正在编辑的阶段之前没有别的阶段。</translation>
    </message>
    <message>
      <source>No stage comes after the one that is edited.</source>
      <translation>正在编辑的阶段之后没有别的阶段。</translation>
    </message>
    <message>
      <source>Edit the stage before</source>
      <translation>编辑上一阶段</translation>
    </message>
    <message>
      <source>Edit the stage after</source>
      <translation>编辑下一阶段</translation>
    </message>
    <message>
      <source>This network's widths can't be cut.</source>
      <translation>此网络的宽度无法裁剪。</translation>
    </message>
    <message>
      <source>Propose a fresh small student</source>
      <translation>建议一个全新的小学生网络</translation>
    </message>
    <message>
      <source>Fresh small student</source>
      <translation>全新的小学生网络</translation>
    </message>
    <message>
      <source>Watch a federation…</source>
      <translation>观察联邦…</translation>
    </message>
    <message>
      <source>Ledger of a federation ({suffixes})</source>
      <translation>联邦账本（{suffixes}）</translation>
    </message>
    <message>
      <source>Watch a federation</source>
      <translation>观察联邦</translation>
    </message>
    <message>
      <source>Refine predictions in quiet time</source>
      <translation>空闲时改进预测</translation>
    </message>
    <message>
      <source>Playground</source>
      <translation>试验场</translation>
    </message>
    <message>
      <source>Worst samples</source>
      <translation>最差的样本</translation>
    </message>
    <message>
      <source>Space</source>
      <translation>空格</translation>
    </message>
    <message>
      <source>Measure the plan first: let the sliders rest.</source>
      <translation>请先评测方案：停下滑块即可。</translation>
    </message>
    <message>
      <source>Compare with the original</source>
      <translation>与原模型对比</translation>
    </message>
    <message>
      <source>Cancel</source>
      <translation>取消</translation>
    </message>
    <message>
      <source>Theme</source>
      <translation>主题</translation>
    </message>
    <message>
      <source>Language</source>
      <translation>语言</translation>
    </message>
    <message>
      <source>Light</source>
      <translation>浅色</translation>
    </message>
    <message>
      <source>Dark</source>
      <translation>深色</translation>
    </message>
    <message>
      <source>As the system</source>
      <translation>跟随系统</translation>
    </message>
    <message>
      <source>Language of the system</source>
      <translation>跟随系统语言</translation>
    </message>
    <message>
      <source>Reset layout</source>
      <translation>重置布局</translation>
    </message>
    <message>
      <source>Commands…</source>
      <translation>命令…</translation>
    </message>
    <message>
      <source>Explain</source>
      <translation>说明</translation>
    </message>
    <message>
      <source>Formulas…</source>
      <translation>公式…</translation>
    </message>
    <message>
      <source>Tour</source>
      <translation>导览</translation>
    </message>
    <message>
      <source>Open the log</source>
      <translation>打开日志</translation>
    </message>
    <message>
      <source>About Slim Studio</source>
      <translation>关于 Slim Studio</translation>
    </message>
    <message>
      <source>Slim Studio makes neural networks smaller and greener by hand and eye.</source>
      <translation>Slim Studio：用手和眼，让神经网络更小、更节能。</translation>
    </message>
    <message>
      <source>Apache-2.0. Log and cache: {path}</source>
      <translation>Apache-2.0。日志与缓存：{path}</translation>
    </message>
  </context>
  <context>
    <name>app</name>
    <message>
      <source>Something went wrong and was logged ({what}); your plan is safe.</source>
      <translation>出现了意外错误，已记入日志（{what}）；您的方案没有丢失。</translation>
    </message>
  </context>
  <context>
    <name>core</name>
    <message>
      <source>Accuracy</source>
      <translation>精度</translation>
    </message>
    <message>
      <source>all</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>attention</source>
      <translation>注意力</translation>
    </message>
    <message>
      <source>feed-forward</source>
      <translation>前馈</translation>
    </message>
    <message>
      <source>convolution</source>
      <translation>卷积</translation>
    </message>
    <message>
      <source>embedding</source>
      <translation>嵌入</translation>
    </message>
    <message>
      <source>output</source>
      <translation>输出</translation>
    </message>
    <message>
      <source>other</source>
      <translation>其他</translation>
    </message>
    <message>
      <source>kv cache</source>
      <translation>KV 缓存</translation>
    </message>
    <message>
      <source>overhead</source>
      <translation>开销</translation>
    </message>
    <message>
      <source>measured</source>
      <translation>实测</translation>
    </message>
    <message>
      <source>calibrated</source>
      <translation>已校准</translation>
    </message>
    <message>
      <source>catalogue</source>
      <translation>目录</translation>
    </message>
    <message>
      <source>physics floor</source>
      <translation>物理下限</translation>
    </message>
    <message>
      <source>Modelled</source>
      <translation>建模</translation>
    </message>
    <message>
      <source>Calibrated</source>
      <translation>已校准建模</translation>
    </message>
    <message>
      <source>This machine</source>
      <translation>本机</translation>
    </message>
    <message>
      <source>Laptop</source>
      <translation>笔记本电脑</translation>
    </message>
    <message>
      <source>Server</source>
      <translation>服务器</translation>
    </message>
    <message>
      <source>Phone</source>
      <translation>手机</translation>
    </message>
    <message>
      <source>processor package</source>
      <translation>处理器封装</translation>
    </message>
    <message>
      <source>GPU board</source>
      <translation>GPU 板卡</translation>
    </message>
    <message>
      <source>board</source>
      <translation>整板</translation>
    </message>
    <message>
      <source>system on chip with memory</source>
      <translation>含内存的片上系统</translation>
    </message>
    <message>
      <source>samples</source>
      <translation>样本</translation>
    </message>
    <message>
      <source>Energy</source>
      <translation>能耗</translation>
    </message>
    <message>
      <source>Size</source>
      <translation>大小</translation>
    </message>
    <message>
      <source>compressing</source>
      <translation>压缩</translation>
    </message>
    <message>
      <source>statistics</source>
      <translation>统计</translation>
    </message>
    <message>
      <source>gradients</source>
      <translation>梯度</translation>
    </message>
    <message>
      <source>exporting</source>
      <translation>导出</translation>
    </message>
    <message>
      <source>scoring</source>
      <translation>评分</translation>
    </message>
    <message>
      <source>cutting</source>
      <translation>裁剪</translation>
    </message>
    <message>
      <source>task</source>
      <translation>任务</translation>
    </message>
    <message>
      <source>teacher</source>
      <translation>教师</translation>
    </message>
    <message>
      <source>clients, mean</source>
      <translation>各客户端平均</translation>
    </message>
    <message>
      <source>Calibration</source>
      <translation>校准</translation>
    </message>
    <message>
      <source>Compare</source>
      <translation>对比</translation>
    </message>
    <message>
      <source>Chosen by second order, the rest refitted</source>
      <translation>按二阶信息选择，其余重新拟合</translation>
    </message>
    <message>
      <source>Chosen by gradients, the rest refitted</source>
      <translation>按梯度选择，其余重新拟合</translation>
    </message>
    <message>
      <source>Chosen by size, the rest refitted</source>
      <translation>按大小选择，其余重新拟合</translation>
    </message>
    <message>
      <source>Drawn anew, to be distilled</source>
      <translation>全新随机,等待蒸馏</translation>
    </message>
    <message>
      <source>Cut</source>
      <translation>裁剪</translation>
    </message>
    <message>
      <source>Front</source>
      <translation>前沿</translation>
    </message>
    <message>
      <source>History</source>
      <translation>历史</translation>
    </message>
    <message>
      <source>Inspector</source>
      <translation>检视器</translation>
    </message>
    <message>
      <source>Jobs</source>
      <translation>任务</translation>
    </message>
    <message>
      <source>Plan</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Playground</source>
      <translation>试验场</translation>
    </message>
    <message>
      <source>Recovery</source>
      <translation>恢复</translation>
    </message>
    <message>
      <source>Sensitivity</source>
      <translation>敏感度</translation>
    </message>
    <message>
      <source>as it is</source>
      <translation>保持原样</translation>
    </message>
    <message>
      <source>cut</source>
      <translation>裁剪</translation>
    </message>
    <message>
      <source>{n} % pruned</source>
      <translation>剪枝 {n} %</translation>
    </message>
    <message>
      <source>{n} bits</source>
      <translation>{n} 位</translation>
    </message>
  </context>
  <context>
    <name>explain</name>
    <message>
      <source>Point at a part of the window and press F1.</source>
      <translation>将鼠标指向窗口的某处，然后按 F1。</translation>
    </message>
  </context>
  <context>
    <name>pictures</name>
    <message>
      <source>{path} can't be written ({why}); choose another place.</source>
      <translation>无法写入 {path}（{why}）；请换一个位置。</translation>
    </message>
    <message>
      <source>Copy as {kind}</source>
      <translation>复制为 {kind}</translation>
    </message>
    <message>
      <source>Save as…</source>
      <translation>另存为…</translation>
    </message>
    <message>
      <source>Save the chart</source>
      <translation>保存图表</translation>
    </message>
  </context>
  <context>
    <name>scene</name>
    <message>
      <source>Measuring this machine</source>
      <translation>正在测量本机</translation>
    </message>
  </context>
  <context>
    <name>actions</name>
    <message>
      <source>About half of every width, its weights drawn anew, to be distilled from the original (or another teacher): adjust it under Cut</source>
      <translation>各宽度约减半,权重全新随机,由原模型(或另一位教师)蒸馏:可在“裁剪”中调整</translation>
    </message>
    <message>
      <source>All docks back to where they were at first</source>
      <translation>所有面板恢复到最初的位置</translation>
    </message>
    <message>
      <source>Another stage after the one that is edited: it begins with what that one leaves, trained or not</source>
      <translation>在正在编辑的阶段之后再加一个：它从那一阶段留下的模型开始，无论是否训练过</translation>
    </message>
    <message>
      <source>Ask the original and the variant the same thing: a prompt, a picture or two sentences of your own</source>
      <translation>用同样的内容询问原模型与变体：您自己的提示、图片或两个句子</translation>
    </message>
    <message>
      <source>At the next start, open what was open; without the tick the studio starts empty</source>
      <translation>下次启动时打开上次的模型；不勾选则以空白状态启动</translation>
    </message>
    <message>
      <source>Back to the welcome page</source>
      <translation>回到欢迎页</translation>
    </message>
    <message>
      <source>Build the network with a Python function of yours, after you have read and confirmed it</source>
      <translation>用您自己的 Python 函数构建网络，运行前需阅读并确认代码</translation>
    </message>
    <message>
      <source>Chinese texts, at once</source>
      <translation>立即切换为中文</translation>
    </message>
    <message>
      <source>Chinese where the system speaks it, else English</source>
      <translation>系统语言为中文时使用中文，否则使用英文</translation>
    </message>
    <message>
      <source>Compress and score the current plan on the held-out data now</source>
      <translation>立即压缩当前方案并在留出数据上评测</translation>
    </message>
    <message>
      <source>Dark colours</source>
      <translation>深色配色</translation>
    </message>
    <message>
      <source>Do it again</source>
      <translation>重新执行刚撤销的操作</translation>
    </message>
    <message>
      <source>English texts, at once</source>
      <translation>立即切换为英文</translation>
    </message>
    <message>
      <source>Find any command or layer by typing a part of its name</source>
      <translation>输入名称的一部分，查找任意命令或层</translation>
    </message>
    <message>
      <source>Find the layers that cost the plan most, by running it without some of them: about log2 n evaluations</source>
      <translation>通过去掉部分层来运行方案，找出代价最大的层：约 log2 n 次评测</translation>
    </message>
    <message>
      <source>Follow the rounds of a federation whose server runs anywhere (slim federated server), from the ledger beside its result</source>
      <translation>从结果旁的账本跟踪任意处运行的联邦服务器（slim federated server）的各轮</translation>
    </message>
    <message>
      <source>Give the selected layers (or the model) this many bits a weight; 16 leaves them as stored</source>
      <translation>设置所选层（或整个模型）每个权重的位数；16 表示保持原样</translation>
    </message>
    <message>
      <source>Held-out samples in a folder: .txt files, recordings (.wav), or pictures, in one subfolder per class or without labels</source>
      <translation>文件夹中的留出样本：.txt 文件、录音（.wav），或图片（按类别分子文件夹，或不带标签）</translation>
    </message>
    <message>
      <source>Held-out samples to score on: .txt, .jsonl or .csv for language models, .npz with images (and labels) or .wav for classifiers</source>
      <translation>用于评分的留出样本：语言模型用 .txt、.jsonl 或 .csv，分类器用含图像（与标签）的 .npz 或 .wav</translation>
    </message>
    <message>
      <source>Leave the studio</source>
      <translation>退出 Slim Studio</translation>
    </message>
    <message>
      <source>Let the selected layers (or the model) follow the plan above them again</source>
      <translation>让所选层（或整个模型）重新遵循上级方案</translation>
    </message>
    <message>
      <source>Light colours</source>
      <translation>浅色配色</translation>
    </message>
    <message>
      <source>Light or dark as the system is</source>
      <translation>随系统选择浅色或深色</translation>
    </message>
    <message>
      <source>List the held-out samples on which the original and the variant differ most</source>
      <translation>列出原模型与变体差别最大的留出样本</translation>
    </message>
    <message>
      <source>Measure what an error of each layer costs; then every setting shows its predicted price at once</source>
      <translation>实测每层误差的代价；之后每个设置立即显示其预测代价</translation>
    </message>
    <message>
      <source>Open a model folder with its config.json and weights</source>
      <translation>打开含 config.json 和权重的模型文件夹</translation>
    </message>
    <message>
      <source>Open one file of weights</source>
      <translation>打开单个权重文件</translation>
    </message>
    <message>
      <source>Plan for the whole model again</source>
      <translation>重新为整个模型制定方案</translation>
    </message>
    <message>
      <source>Prune five per cent less of the selected layers (or the model)</source>
      <translation>将所选层（或整个模型）的剪枝比例减少 5 个百分点</translation>
    </message>
    <message>
      <source>Prune five per cent more of the selected layers (or the model)</source>
      <translation>将所选层（或整个模型）的剪枝比例增加 5 个百分点</translation>
    </message>
    <message>
      <source>Put the measured plan and the original side by side, layer by layer</source>
      <translation>将评测过的方案与原模型逐层并排对比</translation>
    </message>
    <message>
      <source>Read every tensor once and show in the tree how sparse it is stored; files up to 2 GB are counted by themselves</source>
      <translation>读取每个张量一遍，在层树中显示其现有稀疏度；2 GB 以内的文件会自动统计</translation>
    </message>
    <message>
      <source>Say what the thing under the pointer is</source>
      <translation>说明鼠标所指的内容</translation>
    </message>
    <message>
      <source>Select every layer with the same last name and type</source>
      <translation>选择末级名称和类型都相同的所有层</translation>
    </message>
    <message>
      <source>Stop the running work; everything finished so far is kept</source>
      <translation>停止正在运行的任务；已完成的部分会保留</translation>
    </message>
    <message>
      <source>Take back the last change of the plan</source>
      <translation>撤销对方案的上一次修改</translation>
    </message>
    <message>
      <source>Take plan, data and format from a recipe file</source>
      <translation>从配方文件载入方案、数据和格式</translation>
    </message>
    <message>
      <source>The file that holds what went wrong, with every detail</source>
      <translation>记录了所有出错细节的文件</translation>
    </message>
    <message>
      <source>The last model with its plan and everything that was measured of it</source>
      <translation>上次的模型、方案以及全部评测结果</translation>
    </message>
    <message>
      <source>Three steps through the window, ten seconds each</source>
      <translation>三步了解窗口，每步十秒</translation>
    </message>
    <message>
      <source>Train the plan in its way, pause a running training, or go on with a paused one</source>
      <translation>按方案的方式训练，暂停正在进行的训练，或继续已暂停的训练</translation>
    </message>
    <message>
      <source>Type a part of a name or a type</source>
      <translation>输入名称或类型的一部分</translation>
    </message>
    <message>
      <source>Version, licence, and where the log lies</source>
      <translation>版本、许可证以及日志位置</translation>
    </message>
    <message>
      <source>What all panels show and edit is the stage after this one; the plan stays as it is</source>
      <translation>所有面板改为显示并编辑下一阶段；方案本身不变</translation>
    </message>
    <message>
      <source>What all panels show and edit is the stage before this one; the plan stays as it is</source>
      <translation>所有面板改为显示并编辑上一阶段；方案本身不变</translation>
    </message>
    <message>
      <source>What is computed for pruning, quantization, distillation, federations and energy, with the sources</source>
      <translation>剪枝、量化、蒸馏、联邦和能耗实际怎样计算,附出处</translation>
    </message>
    <message>
      <source>What is kept on disk to save work: how much, under which cap, and how to clear it</source>
      <translation>为省去重复计算而保存在磁盘上的内容：有多少、上限多少、如何清除</translation>
    </message>
    <message>
      <source>When nothing else runs and on mains power, measure the plans that teach the prediction most; any edit stops it at once</source>
      <translation>在没有其他任务且接通电源时，实测最能改进预测的方案；任何编辑都会立即停止它</translation>
    </message>
    <message>
      <source>Write the plan as a recipe that the command line can run</source>
      <translation>将方案保存为命令行也能运行的配方</translation>
    </message>
    <message>
      <source>Write the plan as a recipe under another name</source>
      <translation>将方案以另一个名称保存为配方</translation>
    </message>
    <message>
      <source>Write the slimmed model and have it verified in a fresh process</source>
      <translation>写出压缩后的模型，并在新进程中验证</translation>
    </message>
  </context>
  <context>
    <name>core</name>
    <message>
      <source>"At most so much worse" needs the original measured first: give data to measure it on, or say kl instead</source>
      <translation>“最多变差多少”需要先评测原模型：请提供评测数据，或改用 kl</translation>
    </message>
    <message>
      <source>, 1 of {0}</source>
      <translation>，{0} 个之一</translation>
    </message>
    <message>
      <source>--cap is for one part of the cache: name it, as in slim cache --only layers --cap 20</source>
      <translation>--cap 只针对缓存的一部分：请指明，例如 slim cache --only layers --cap 20</translation>
    </message>
    <message>
      <source>--groups {0}: give sizes from 2 on, such as 32,128, or 0 for a scale a row</source>
      <translation>--groups {0}：请给出不小于 2 的分组大小，例如 32,128，或用 0 表示每行一个缩放系数</translation>
    </message>
    <message>
      <source>--name {0} is not the name this key was made for; leave --name out</source>
      <translation>--name {0} 不是此密钥所属的名称；请去掉 --name</translation>
    </message>
    <message>
      <source>--part {0} is no share; write K/N, as in 2/5</source>
      <translation>--part {0} 不是份额；请写成 K/N，如 2/5</translation>
    </message>
    <message>
      <source>--patience {0} leaves no client time to answer; give seconds above zero</source>
      <translation>--patience {0} 没有给客户端留出回应的时间；请给出大于零的秒数</translation>
    </message>
    <message>
      <source>0 bit-identical to the source</source>
      <translation>0 个与源文件逐位相同</translation>
    </message>
    <message>
      <source>1 - cosine</source>
      <translation>1 - 余弦</translation>
    </message>
    <message>
      <source>1:4</source>
      <translation>1:4</translation>
    </message>
    <message>
      <source>2:4</source>
      <translation>2:4</translation>
    </message>
    <message>
      <source>2^bits values of its own for every output or group, by k-means with importance weights (SqueezeLLM, arXiv 2306.07629), then GPTQ.

The table costs bytes, and no runtime unpacks it (exports are dense): `slim` in groups is better at equal bytes on all we measured.</source>
      <translation>每个输出或分组各有 2^位数 个取值，由重要性加权的 k-means 得到（SqueezeLLM，arXiv 2306.07629），再做 GPTQ。

码表占用字节，且没有运行时能解包它（导出为稠密）：在我们测过的所有情况下，字节数相同时分组的 `slim` 更好。</translation>
    </message>
    <message>
      <source>3:4</source>
      <translation>3:4</translation>
    </message>
    <message>
      <source>4:8</source>
      <translation>4:8</translation>
    </message>
    <message>
      <source>; a teacher must have the very same vocabulary</source>
      <translation>;教师的词表必须与模型完全相同</translation>
    </message>
    <message>
      <source>; codes that are floats once they are loaded save nothing</source>
      <translation>；加载后变为浮点数的编码不省能</translation>
    </message>
    <message>
      <source>; only {0} bits run packed there, others are unpacked when loaded</source>
      <translation>；那里只有 {0} 位以打包形式运行，其余在载入时解包</translation>
    </message>
    <message>
      <source>; packed weights are unpacked there</source>
      <translation>；打包的权重在那里会被解包</translation>
    </message>
    <message>
      <source>; rounded values and 16-bit floats in a dense file save nothing</source>
      <translation>；稠密文件中的舍入值和 16 位浮点不省能</translation>
    </message>
    <message>
      <source>; rounded values in a dense file save nothing</source>
      <translation>；稠密文件中的舍入值不省能</translation>
    </message>
    <message>
      <source>A PUE of {0} can't be; 1 is a laptop, data centres are at 1.1 to 2</source>
      <translation>PUE 不可能为 {0}；笔记本为 1，数据中心为 1.1 至 2</translation>
    </message>
    <message>
      <source>A client {0} before it had taken part</source>
      <translation>一个客户端还未参加就{0}</translation>
    </message>
    <message>
      <source>A constant of the graph can't be read: {0}</source>
      <translation>无法读取计算图中的一个常量：{0}</translation>
    </message>
    <message>
      <source>A folder with model.onnx, config and tokenizer: 2 to 4 bits stand in MatMulNBits, dynamic int8 in MatMulInteger, other codes take one byte each and become floats when the file is loaded.

Activations: "plan" as the plan was measured; "dynamic" lets onnxruntime round the inputs of every quantized linear layer to 8 bits, which is where its speed comes from; "static" (8 bits per channel, and convolutions) rounds them to ranges measured on calibration data.</source>
      <translation>一个含 model.onnx、配置和分词器的文件夹：2 到 4 位存于 MatMulNBits，动态 int8 存于 MatMulInteger，其他编码各占一个字节，加载文件时变为浮点数。

激活：“plan”与方案测量时一致；“dynamic”让 onnxruntime 把每个量化线性层的输入舍入到 8 位，它的速度由此而来；“static”（逐通道 8 位以及卷积）按校准数据上测得的范围舍入。</translation>
    </message>
    <message>
      <source>A goal is one of {0}; this one says {1}</source>
      <translation>目标是 {0} 之一；此处写的是 {1}</translation>
    </message>
    <message>
      <source>A label lies outside 0 to {0}, the classes this network knows; mend the training data</source>
      <translation>有标签不在 0 到 {0} 之间，超出该网络的类别；请修正训练数据</translation>
    </message>
    <message>
      <source>A limit of {0} leaves nothing to score; give at least 2</source>
      <translation>上限为 {0} 时没有可评测的内容；请至少给 2</translation>
    </message>
    <message>
      <source>A machine of the cluster doesn't have slim-studio; install the same version on all of them</source>
      <translation>集群中有机器未安装 slim-studio；请在所有机器上安装相同版本</translation>
    </message>
    <message>
      <source>A machine of the cluster has another version of slim-studio, torch or numpy; install the same on all of them</source>
      <translation>集群中有机器的 slim-studio、torch 或 numpy 版本不同；请在所有机器上安装相同版本</translation>
    </message>
    <message>
      <source>A plan in several stages needs a network that runs and data to score it on</source>
      <translation>分阶段的方案需要可运行的网络和评分数据</translation>
    </message>
    <message>
      <source>A program needs a graph, and these are weights alone; open the folder with config.json, or the program itself</source>
      <translation>导出程序需要计算图，而这里只有权重；请打开含 config.json 的文件夹，或程序文件本身</translation>
    </message>
    <message>
      <source>A recipe is written for a goal; say --under, --worse, --kl, --energy, --time or --weights</source>
      <translation>配方要有目标才能写出；请给出 --under、--worse、--kl、--energy、--time 或 --weights</translation>
    </message>
    <message>
      <source>A size is a number of bytes, "60 MB", "0.5x" or "50 %" (of the original), not {0}</source>
      <translation>大小应为字节数、“60 MB”、“0.5x”或“50 %”（相对原模型），而不是 {0}</translation>
    </message>
    <message>
      <source>A size of {0} leaves no room for anything; give more</source>
      <translation>大小 {0} 什么都放不下；请给更多</translation>
    </message>
    <message>
      <source>A stage before this one was not trained yet: Run the stages, under Recovery, trains it</source>
      <translation>前面有阶段尚未训练：“恢复”页的“运行各阶段”会训练它</translation>
    </message>
    <message>
      <source>ADMM (mask and weights)</source>
      <translation>ADMM（掩码与权重）</translation>
    </message>
    <message>
      <source>AWQ (activation-aware scales)</source>
      <translation>AWQ（激活感知缩放）</translation>
    </message>
    <message>
      <source>Accuracy was not compared: there is no held-out data; give --data</source>
      <translation>未对比精度：没有留出数据；请给出 --data</translation>
    </message>
    <message>
      <source>Accuracy was not compared: {0}</source>
      <translation>未对比精度：{0}</translation>
    </message>
    <message>
      <source>Accuracy was not measured: the original and the slimmed model would not fit into memory together</source>
      <translation>未评测精度：原模型与压缩后的模型无法同时放入内存</translation>
    </message>
    <message>
      <source>Accuracy was not measured: there is no held-out data; give the recipe [evaluate] data</source>
      <translation>未评测精度：没有留出数据；请在配方中给出 [evaluate] data</translation>
    </message>
    <message>
      <source>Activation-aware scale and clip search, the strength chosen by the layer's output error (after Lin et al. 2023, arXiv 2306.00978).

The original multiplies salient input channels by s_j = a_j^alpha and folds 1 / s_j into the norm before them. That changes another layer, which one layer's plan must not; so here a_j^(2 alpha) weighs the error in the search of each group's scale, zero point and clipping, which stays within this layer's own grid. Without calibration data alpha is 0.</source>
      <translation>激活感知的缩放与截断搜索，强度按该层的输出误差选定（参照 Lin 等，2023，arXiv 2306.00978）。

原方法将显著输入通道乘以 s_j = a_j^alpha，并把 1 / s_j 折入前面的归一化层。这会改动另一层，而单层方案不应如此；因此这里用 a_j^(2 alpha) 对各组缩放因子、零点和截断搜索中的误差加权，只在该层自己的网格内进行。没有校准数据时 alpha 为 0。</translation>
    </message>
    <message>
      <source>Activations</source>
      <translation>激活</translation>
    </message>
    <message>
      <source>After the last round {0} {1}</source>
      <translation>最后一轮之后：{0} {1}</translation>
    </message>
    <message>
      <source>Agreement</source>
      <translation>一致率</translation>
    </message>
    <message>
      <source>An encoder has no task of its own here: distil it with λ = 1 (distil.share)</source>
      <translation>编码器在此没有自己的任务：请用 λ = 1（distil.share）蒸馏</translation>
    </message>
    <message>
      <source>An encoder has no task of its own here; distil it from the original instead</source>
      <translation>编码器在此没有自己的任务；请改为从原模型蒸馏</translation>
    </message>
    <message>
      <source>An exported program: runs without the model's source code; pruned and quantized values are rounded in place, so that bytes fall only with the type or where something was cut out.</source>
      <translation>导出的程序：无需模型源代码即可运行；剪枝和量化的数值就地舍入，因此只有改变类型或切除结构时字节数才会减少。</translation>
    </message>
    <message>
      <source>Answering</source>
      <translation>正在回答</translation>
    </message>
    <message>
      <source>Answering for comparison</source>
      <translation>计算对照输出</translation>
    </message>
    <message>
      <source>Answers kept on disk belong to the pictures as they are: set distil.top = 0, or vary = 0 and mirror = false</source>
      <translation>磁盘上保留的答案属于未改动的图片：请设 distil.top = 0，或设 vary = 0 且 mirror = false</translation>
    </message>
    <message>
      <source>Apple silicon: this chip tells no energy of its processor</source>
      <translation>Apple 芯片：此芯片不报告处理器能耗</translation>
    </message>
    <message>
      <source>Apple silicon: zeus-apple-silicon is not installed (macOS on arm64 only); pip install 'slim-studio[apple]'</source>
      <translation>Apple 芯片：未安装 zeus-apple-silicon（仅限 arm64 上的 macOS）；请运行 pip install 'slim-studio[apple]'</translation>
    </message>
    <message>
      <source>Apple silicon: {0}</source>
      <translation>Apple 芯片：{0}</translation>
    </message>
    <message>
      <source>Attention heads</source>
      <translation>注意力头</translation>
    </message>
    <message>
      <source>BF16</source>
      <translation>BF16</translation>
    </message>
    <message>
      <source>Batch norms counted anew: {0} -&gt; {1}, measured</source>
      <translation>重新统计批归一化:{0} -&gt; {1},实测</translation>
    </message>
    <message>
      <source>Batch norms of the clients</source>
      <translation>客户端的批归一化</translation>
    </message>
    <message>
      <source>Batch norms run on</source>
      <translation>批归一化使用</translation>
    </message>
    <message>
      <source>Batch norms stayed with the clients, the result has the server's: loss on the clients' samples {0} with their own, {1} with the server's, measured</source>
      <translation>批归一化留在各客户端，结果用服务器的：在客户端样本上，用自己的损失为 {0}，用服务器的为 {1}，实测</translation>
    </message>
    <message>
      <source>Battery: it is being charged or full; pull the plug to measure</source>
      <translation>电池：正在充电或已充满；拔掉电源再测量</translation>
    </message>
    <message>
      <source>Battery: {0}</source>
      <translation>电池：{0}</translation>
    </message>
    <message>
      <source>Battery: {0} has none</source>
      <translation>电池：{0} 中没有</translation>
    </message>
    <message>
      <source>Bits per byte</source>
      <translation>每字节比特数</translation>
    </message>
    <message>
      <source>Blocks</source>
      <translation>块</translation>
    </message>
    <message>
      <source>Blocks of calibration statistics</source>
      <translation>校准统计块</translation>
    </message>
    <message>
      <source>Calibrated on the part of {0} after what is scored</source>
      <translation>用 {0} 中评分部分之后的内容校准</translation>
    </message>
    <message>
      <source>Calibrated on the {0} of {1} after the {2} that are scored</source>
      <translation>以 {1} 中评分用的 {2} 个之后的 {0} 校准</translation>
    </message>
    <message>
      <source>Calibrated on {0}</source>
      <translation>用 {0} 校准</translation>
    </message>
    <message>
      <source>Calibrated on {0}/{1}</source>
      <translation>用 {0}/{1} 校准</translation>
    </message>
    <message>
      <source>Calibrated on {0}: {1} layers, {2} tokens</source>
      <translation>已在 {0} 上校准：{1} 层，{2} 个词元</translation>
    </message>
    <message>
      <source>Cancelled; everything finished so far is kept.</source>
      <translation>已取消；已完成的部分会保留。</translation>
    </message>
    <message>
      <source>Checking the tuning</source>
      <translation>检查微调效果</translation>
    </message>
    <message>
      <source>Clients</source>
      <translation>客户端数</translation>
    </message>
    <message>
      <source>Clients get a model's description, never its code: a federation needs a model with a config.json</source>
      <translation>客户端只得到模型的描述，绝不得到代码：联邦需要带 config.json 的模型</translation>
    </message>
    <message>
      <source>Clients in {0} and their samples: {1}</source>
      <translation>{0} 中的客户端及其样本数：{1}</translation>
    </message>
    <message>
      <source>Clients with folders of their own: choose the folder they lie in as the training data</source>
      <translation>各客户端有自己的文件夹：请选择这些文件夹所在的文件夹作为训练数据</translation>
    </message>
    <message>
      <source>Codebook (k-means)</source>
      <translation>码本（k-means）</translation>
    </message>
    <message>
      <source>Collecting</source>
      <translation>正在收集</translation>
    </message>
    <message>
      <source>Collecting Fisher information</source>
      <translation>收集 Fisher 信息</translation>
    </message>
    <message>
      <source>Collecting gradients</source>
      <translation>收集梯度</translation>
    </message>
    <message>
      <source>Comparing</source>
      <translation>对比</translation>
    </message>
    <message>
      <source>Comparing layers</source>
      <translation>比较各层</translation>
    </message>
    <message>
      <source>Comparing token by token</source>
      <translation>正在逐词元比较</translation>
    </message>
    <message>
      <source>Compressed layers</source>
      <translation>已压缩的层</translation>
    </message>
    <message>
      <source>Compressing</source>
      <translation>压缩</translation>
    </message>
    <message>
      <source>Convolution channels</source>
      <translation>卷积通道</translation>
    </message>
    <message>
      <source>Correcting biases</source>
      <translation>校正偏置</translation>
    </message>
    <message>
      <source>Cosine to the original</source>
      <translation>与原模型的余弦相似度</translation>
    </message>
    <message>
      <source>Costliest: {0}; {1}</source>
      <translation>代价最大：{0}；{1}</translation>
    </message>
    <message>
      <source>Costliest: {0}; {1}; most of the loss is spread over the other layers</source>
      <translation>代价最大：{0}；{1}；大部分损失分散在其他层</translation>
    </message>
    <message>
      <source>Counting</source>
      <translation>统计</translation>
    </message>
    <message>
      <source>Counting batch norms</source>
      <translation>统计批归一化</translation>
    </message>
    <message>
      <source>Coverage</source>
      <translation>覆盖情况</translation>
    </message>
    <message>
      <source>Cut or converted checkpoints</source>
      <translation>裁剪或转换的检查点</translation>
    </message>
    <message>
      <source>Cut: {0}</source>
      <translation>裁剪：{0}</translation>
    </message>
    <message>
      <source>Cuts and rotation belong to the first stage, which the others begin with; say them in the first [[before]]</source>
      <translation>裁剪和旋转属于第一阶段,后面的阶段由它开始;请写在第一个 [[before]] 中</translation>
    </message>
    <message>
      <source>Cutting</source>
      <translation>裁剪</translation>
    </message>
    <message>
      <source>Cutting block by block</source>
      <translation>逐块裁剪</translation>
    </message>
    <message>
      <source>Cutting looks at what goes through the network, and it can't run or there is no data; open a folder with config.json and give data, or set method = "magnitude", compensate = false and blocks = 0</source>
      <translation>裁剪需要观察网络中的数据流，但网络无法运行或没有数据；请打开带 config.json 的文件夹并给出数据，或设 method = "magnitude"、compensate = false、blocks = 0</translation>
    </message>
    <message>
      <source>Damping</source>
      <translation>阻尼</translation>
    </message>
    <message>
      <source>Decoding for comparison</source>
      <translation>解码以作比较</translation>
    </message>
    <message>
      <source>Dense safetensors</source>
      <translation>稠密 safetensors</translation>
    </message>
    <message>
      <source>Differential privacy of each client: ε = {0} at δ = 1e-05, all rounds together</source>
      <translation>每个客户端的差分隐私：所有轮次合计 ε = {0}，δ = 1e-05</translation>
    </message>
    <message>
      <source>Dirichlet α (0: even)</source>
      <translation>Dirichlet α（0：均匀）</translation>
    </message>
    <message>
      <source>Distil</source>
      <translation>蒸馏</translation>
    </message>
    <message>
      <source>Dtype</source>
      <translation>数据类型</translation>
    </message>
    <message>
      <source>Dynamic int8</source>
      <translation>动态 int8</translation>
    </message>
    <message>
      <source>Earlier stages stand in tables like [[before]], one each, in their order</source>
      <translation>较早的阶段各写成一个 [[before]] 表,按顺序排列</translation>
    </message>
    <message>
      <source>Encoder</source>
      <translation>编码器</translation>
    </message>
    <message>
      <source>Evaluated on this machine alone: {0}</source>
      <translation>仅在本机评测：{0}</translation>
    </message>
    <message>
      <source>Evaluating</source>
      <translation>评测</translation>
    </message>
    <message>
      <source>Every layer is held or protected, so there is nothing to search; let go of some</source>
      <translation>所有层都被固定或保护，没有可搜索的；请放开一些</translation>
    </message>
    <message>
      <source>Every sample of the held-out file is scored, so none is left to calibrate on; choose a calibration file ({0})</source>
      <translation>留出文件的样本全部用于评分，没有剩余可供校准；请选择校准文件（{0}）</translation>
    </message>
    <message>
      <source>Every weight -s, 0 or s with one s per group, kept as 2-bit codes (Li et al. 2016, arXiv 1605.04711), solved like `slim`.

A quarter of the 2-bit codes stays unused: choose `slim` at 2 bits unless the target wants ternary weights.</source>
      <translation>每个权重取 -s、0 或 s，每组一个 s，以 2 位编码存储（Li 等，2016，arXiv 1605.04711），求解方式与 `slim` 相同。

2 位编码有四分之一未被使用：除非目标格式需要三值权重，否则请选择 2 位的 `slim`。</translation>
    </message>
    <message>
      <source>Exported program (torch.export)</source>
      <translation>导出的程序（torch.export）</translation>
    </message>
    <message>
      <source>F16</source>
      <translation>F16</translation>
    </message>
    <message>
      <source>F32</source>
      <translation>F32</translation>
    </message>
    <message>
      <source>False</source>
      <translation>否</translation>
    </message>
    <message>
      <source>FedProx μ</source>
      <translation>FedProx μ</translation>
    </message>
    <message>
      <source>Federated</source>
      <translation>联邦学习</translation>
    </message>
    <message>
      <source>Federated rounds</source>
      <translation>联邦训练轮次</translation>
    </message>
    <message>
      <source>Feed-forward channels</source>
      <translation>前馈通道</translation>
    </message>
    <message>
      <source>Find the mask by ADMM on a cubic schedule, then solve for the weights that stay; the best pruning here (Boža 2024, arXiv 2401.02938).

The last step is conjugate gradients on the fixed mask (as ALPS, Meng et al. 2024, arXiv 2406.07831), with the damping that held-out inputs like best. Without calibration data: magnitude.</source>
      <translation>用 ADMM 按三次进度求掩码，再求解保留的权重；这里效果最好的剪枝方法（Boža，2024，arXiv 2401.02938）。

最后一步在固定掩码上做共轭梯度（同 ALPS，Meng 等，2024，arXiv 2406.07831），阻尼按留出输入上的效果选定。没有校准数据时：按幅值。</translation>
    </message>
    <message>
      <source>Fine-tune</source>
      <translation>微调</translation>
    </message>
    <message>
      <source>Fisher</source>
      <translation>Fisher</translation>
    </message>
    <message>
      <source>Fisher pruning needs a network that runs and data; choose magnitude instead</source>
      <translation>Fisher 剪枝需要可运行的网络和数据；请改用幅值剪枝</translation>
    </message>
    <message>
      <source>Free recovery, {0}: distance to the original on data it did not see {1} -&gt; {2}, measured</source>
      <translation>免训练恢复,{0}:在未见数据上与原模型的距离 {1} -&gt; {2},实测</translation>
    </message>
    <message>
      <source>GB</source>
      <translation>GB</translation>
    </message>
    <message>
      <source>GGUF (llama.cpp)</source>
      <translation>GGUF（llama.cpp）</translation>
    </message>
    <message>
      <source>GGUF blocks (llama.cpp)</source>
      <translation>GGUF 块（llama.cpp）</translation>
    </message>
    <message>
      <source>GGUF carries its tokenizer, and this model has no tokenizer.json; put the original's beside its config.json</source>
      <translation>GGUF 文件自带分词器，而此模型没有 tokenizer.json；请把原模型的 tokenizer.json 放到 config.json 旁边</translation>
    </message>
    <message>
      <source>GGUF describes networks by name, and the studio can write {0}, not {1}</source>
      <translation>GGUF 按名称描述网络，本软件能写 {0}，不能写 {1}</translation>
    </message>
    <message>
      <source>GGUF has no place for {0} in a {1} network; export it dense or packed</source>
      <translation>GGUF 的 {1} 网络中没有 {0} 的位置；请以稠密或打包格式导出</translation>
    </message>
    <message>
      <source>GGUF {0}, and this network has another head ({1}); export it dense or packed</source>
      <translation>GGUF {0}，而此网络的输出头不同（{1}）；请以稠密或打包格式导出</translation>
    </message>
    <message>
      <source>GGUF's blocks hold even grids, and a codebook is a table of values; choose the quantizer GGUF blocks</source>
      <translation>GGUF 块保存的是均匀网格，而码本是数值表；请选择量化器“GGUF 块”</translation>
    </message>
    <message>
      <source>GGUF's blocks of 32 can't hold its groups exactly; choose the quantizer GGUF blocks</source>
      <translation>GGUF 的 32 值块无法精确保存它的分组；请选择量化器“GGUF 块”</translation>
    </message>
    <message>
      <source>GGUF's blocks of 32 don't divide its {0} inputs; set its bits to 16</source>
      <translation>GGUF 的 32 值块不能整除它的 {0} 个输入；请把位数设为 16</translation>
    </message>
    <message>
      <source>GPTQ</source>
      <translation>GPTQ</translation>
    </message>
    <message>
      <source>Gradient</source>
      <translation>梯度</translation>
    </message>
    <message>
      <source>Gradient and Fisher pruning need labels, and an encoder has none; choose magnitude or wanda</source>
      <translation>梯度和 Fisher 剪枝需要标签，而编码器没有；请选择 magnitude 或 wanda</translation>
    </message>
    <message>
      <source>Gradient clipping</source>
      <translation>梯度裁剪</translation>
    </message>
    <message>
      <source>Gradient pruning needs a network that runs and data with labels; choose magnitude instead</source>
      <translation>梯度剪枝需要可运行的网络和带标签的数据；请改用幅值剪枝</translation>
    </message>
    <message>
      <source>Gradients of the loss need labels, and these samples have none; calibrate on labelled ones, or choose wanda</source>
      <translation>损失的梯度需要标签，而这些样本没有；请用带标签的样本校准，或选择 wanda</translation>
    </message>
    <message>
      <source>Granularity</source>
      <translation>粒度</translation>
    </message>
    <message>
      <source>Grid</source>
      <translation>网格</translation>
    </message>
    <message>
      <source>Group size</source>
      <translation>分组大小</translation>
    </message>
    <message>
      <source>Group sizes are searched among for a goal; say --under, --worse, --kl, --energy, --time or --weights</source>
      <translation>分组大小只在有目标时参与搜索；请给出 --under、--worse、--kl、--energy、--time 或 --weights</translation>
    </message>
    <message>
      <source>Guilty layers are found by running the network on data; open a folder with config.json and give data to score on</source>
      <translation>查找问题层需要在数据上运行网络；请打开含 config.json 的文件夹并提供评测数据</translation>
    </message>
    <message>
      <source>HQQ (no data)</source>
      <translation>HQQ（无需数据）</translation>
    </message>
    <message>
      <source>Half-quadratic quantization, data-free: outliers are set aside by an l_p shrinkage before the grid is fitted (Badri &amp; Shaji 2023).

The original moves a real-valued zero point with the scale fixed; here the zero point is an integer, as every export wants it, so it is the scale that is fitted. Starts from the searched grid and keeps, per group, whichever has the smaller l_p error.</source>
      <translation>半二次量化，无需数据：拟合网格前先用 l_p 收缩把离群值分离出来（Badri 与 Shaji，2023）。

原方法固定缩放因子、移动实数零点；各种导出格式都要求整数零点，因此这里拟合的是缩放因子。从搜索得到的网格出发，每组保留 l_p 误差较小者。</translation>
    </message>
    <message>
      <source>Hidden states can't be taught: no chain of like blocks was found in the network; set distil.hidden = 0</source>
      <translation>无法蒸馏隐藏状态:网络中找不到一串相同的块;请设 distil.hidden = 0</translation>
    </message>
    <message>
      <source>Hidden states can't be taught: the teacher's have another length or picture size; set distil.hidden = 0</source>
      <translation>无法蒸馏隐藏状态:教师的隐藏状态长度或图像尺寸不同;请设 distil.hidden = 0</translation>
    </message>
    <message>
      <source>I don't know what goes into a {0}; export it as dense safetensors</source>
      <translation>不知道 {0} 的输入是什么；请导出为稠密 safetensors</translation>
    </message>
    <message>
      <source>IOReport does not answer ({0}); go without a meter</source>
      <translation>IOReport 没有应答（{0}）；请不用电表继续</translation>
    </message>
    <message>
      <source>IQ1_M</source>
      <translation>IQ1_M</translation>
    </message>
    <message>
      <source>IQ1_S</source>
      <translation>IQ1_S</translation>
    </message>
    <message>
      <source>IQ4_NL</source>
      <translation>IQ4_NL</translation>
    </message>
    <message>
      <source>IQ4_XS</source>
      <translation>IQ4_XS</translation>
    </message>
    <message>
      <source>IQ_S</source>
      <translation>IQ_S</translation>
    </message>
    <message>
      <source>IQ_XS</source>
      <translation>IQ_XS</translation>
    </message>
    <message>
      <source>IQ_XXS</source>
      <translation>IQ_XXS</translation>
    </message>
    <message>
      <source>Importance</source>
      <translation>重要性</translation>
    </message>
    <message>
      <source>Importance-weighted scales, GPTQ, coordinate descent and refit scales; damping and stop chosen on held-out data (GPTQ: Frantar 2022).

Without calibration data the scales with the least squared error, as round-to-nearest's "mse" grid. Coordinate descent: QuantEase (Behdin et al. 2023, arXiv 2309.01885).

`rounds` counts at 2 bits, and one less for every bit more: there a round of the polish wins 5 to 7 % of the error on unseen tokens, at 3 bits 3.4 % (on SmolLM2 a KL of 0.258 instead of 0.268) for half as much time again.</source>
      <translation>重要性加权的缩放因子、GPTQ、坐标下降，并重新拟合缩放因子；阻尼与停止时机在留出数据上选定（GPTQ：Frantar，2022）。

没有校准数据时取平方误差最小的缩放因子，同就近舍入的“mse”网格。坐标下降：QuantEase（Behdin 等，2023，arXiv 2309.01885）。

`rounds` 按 2 位计，每多一位少一轮：2 位时一轮打磨可减少未见词元上 5 至 7 % 的误差，3 位时为 3.4 %（在 SmolLM2 上 KL 为 0.258，而非 0.268），而时间多一半。</translation>
    </message>
    <message>
      <source>Its answers to a token hang on later tokens, so it is no language model that goes from left to right; {0}</source>
      <translation>它对一个词元的输出取决于后面的词元，因此不是从左到右的语言模型；{0}</translation>
    </message>
    <message>
      <source>Its input {0} ({1}) is neither {2}; {3}</source>
      <translation>它的输入 {0}（{1}）既不是 {2}；{3}</translation>
    </message>
    <message>
      <source>Its output ({0}) is neither classes (batch, classes) nor answers to tokens (batch, tokens, size); {1}</source>
      <translation>它的输出（{0}）既不是类别（批、类别），也不是逐词元的回答（批、词元、大小）；{1}</translation>
    </message>
    <message>
      <source>Its rotary embedding is scaled ({0}), which the studio can't put into GGUF yet; export it dense</source>
      <translation>它的旋转位置编码带缩放（{0}），本软件还不能写入 GGUF；请以稠密格式导出</translation>
    </message>
    <message>
      <source>Its tokenizer can't be loaded ({0}); put tokenizer.json beside config.json</source>
      <translation>无法加载其分词器（{0}）；请将 tokenizer.json 放在 config.json 旁边</translation>
    </message>
    <message>
      <source>Its tokenizer is of the kind {0}, which the studio can't put into GGUF; {1}</source>
      <translation>它的分词器类型是 {0}，本软件无法写入 GGUF；{1}</translation>
    </message>
    <message>
      <source>K</source>
      <translation>K</translation>
    </message>
    <message>
      <source>KL to the original</source>
      <translation>与原模型的 KL 散度</translation>
    </message>
    <message>
      <source>Keep the N largest of every M neighbouring weights (Mishra et al. 2021); any amount above 0 turns the pattern on.</source>
      <translation>每 M 个相邻权重只保留最大的 N 个（Mishra 等，2021）；比例大于 0 即启用该模式。</translation>
    </message>
    <message>
      <source>Kullback-Leibler divergence of the output to the original's, nats per token or sample</source>
      <translation>输出相对原模型输出的 Kullback-Leibler 散度，单位为每词元或每样本奈特</translation>
    </message>
    <message>
      <source>L1 magnitude</source>
      <translation>L1 幅值</translation>
    </message>
    <message>
      <source>Learning rate</source>
      <translation>学习率</translation>
    </message>
    <message>
      <source>Linear layers in integers from end to end: weights int8 per output channel, activations scaled per token when the layer runs (Zafrir et al. 2019, Q8BERT; Yao et al. 2022, ZeroQuant). Measured here with the activations quantized; a file holds the weights alone.</source>
      <translation>线性层全程整数运算：权重按输出通道 int8，激活在运行时按词元缩放（Zafrir 等，2019，Q8BERT；Yao 等，2022，ZeroQuant）。这里的评测已量化激活；文件中只存权重。</translation>
    </message>
    <message>
      <source>Listening</source>
      <translation>正在聆听</translation>
    </message>
    <message>
      <source>LoRA rank</source>
      <translation>LoRA 秩</translation>
    </message>
    <message>
      <source>Loading</source>
      <translation>加载</translation>
    </message>
    <message>
      <source>Local epochs</source>
      <translation>本地遍数</translation>
    </message>
    <message>
      <source>Local optimizer</source>
      <translation>本地优化器</translation>
    </message>
    <message>
      <source>Longest change</source>
      <translation>变化量上限</translation>
    </message>
    <message>
      <source>Looking for the guilty layers</source>
      <translation>正在查找问题层</translation>
    </message>
    <message>
      <source>Looking for the server</source>
      <translation>正在寻找服务器</translation>
    </message>
    <message>
      <source>Looking for the worst samples</source>
      <translation>正在查找最差的样本</translation>
    </message>
    <message>
      <source>MXFP4</source>
      <translation>MXFP4</translation>
    </message>
    <message>
      <source>Mirror pictures</source>
      <translation>图片镜像</translation>
    </message>
    <message>
      <source>More and more samples</source>
      <translation>逐步增加样本</translation>
    </message>
    <message>
      <source>N:M pattern</source>
      <translation>N:M 模式</translation>
    </message>
    <message>
      <source>NVFP4</source>
      <translation>NVFP4</translation>
    </message>
    <message>
      <source>NVML: no NVIDIA GPU here</source>
      <translation>NVML：这里没有 NVIDIA GPU</translation>
    </message>
    <message>
      <source>NVML: nvidia-ml-py is not installed; pip install 'slim-studio[nvidia]'</source>
      <translation>NVML：未安装 nvidia-ml-py；请 pip install 'slim-studio[nvidia]'</translation>
    </message>
    <message>
      <source>NVML: {0}</source>
      <translation>NVML：{0}</translation>
    </message>
    <message>
      <source>No Ray cluster answers at {0}; give HOST:PORT of one that runs (ray start --head tells it)</source>
      <translation>{0} 处没有 Ray 集群响应；请给出正在运行的集群的 HOST:PORT（ray start --head 会显示）</translation>
    </message>
    <message>
      <source>No client with samples is left in round {0}; the rounds before are kept: start the same again, with clients</source>
      <translation>第 {0} 轮已没有持有样本的客户端；之前各轮已保留：请带上客户端重新启动同一联邦</translation>
    </message>
    <message>
      <source>No plan is foretold to be that good: at best {0} ({1}); allow more or hold fewer layers</source>
      <translation>没有方案预计能这么好：最好为 {0}（{1}）；请放宽要求或少固定一些层</translation>
    </message>
    <message>
      <source>No server at {0} ({1}); start it, or check the address</source>
      <translation>{0} 处没有服务器（{1}）；请启动它，或检查地址</translation>
    </message>
    <message>
      <source>Nobody is guilty: the plan costs {0}, which is within the noise of the evaluation</source>
      <translation>没有问题层：方案的代价为 {0}，在评测噪声之内</translation>
    </message>
    <message>
      <source>Noise hides a client only if its change has a longest size: set federated.limit, too</source>
      <translation>只有限制了更新的最大长度，噪声才能隐藏客户端：请同时设置 federated.limit</translation>
    </message>
    <message>
      <source>Noise hides a client only in a plain mean: set federated.trim = 0 and federated.update = float32</source>
      <translation>只有在普通平均中噪声才能隐藏客户端：请设置 federated.trim = 0 和 federated.update = float32</translation>
    </message>
    <message>
      <source>Noise, of the longest change</source>
      <translation>噪声（相对变化量上限）</translation>
    </message>
    <message>
      <source>Nothing can listen at {0} ({1}); choose another --listen</source>
      <translation>无法在 {0} 监听（{1}）；请另选 --listen</translation>
    </message>
    <message>
      <source>Nothing was corrected: this network is no chain of blocks, and its layers are compressed side by side</source>
      <translation>未作校正：该网络不是由块串成的链，其各层并行压缩</translation>
    </message>
    <message>
      <source>ONNX (onnxruntime)</source>
      <translation>ONNX（onnxruntime）</translation>
    </message>
    <message>
      <source>ONNX holds a network, and these weights come without a description of theirs; open the folder with its config.json</source>
      <translation>ONNX 保存的是网络，而这些权重没有网络描述；请打开带 config.json 的文件夹</translation>
    </message>
    <message>
      <source>One GGUF file with its tokenizer: layers of the quantizer `ggml` in their blocks, even grids re-encoded where that is exact, vectors in F32, and what the plan leaves alone as it is.</source>
      <translation>一个自带分词器的 GGUF 文件：量化器 `ggml` 的层按其块保存，均匀网格在可精确转换时重新编码，向量为 F32，方案未改动的部分保持原样。</translation>
    </message>
    <message>
      <source>Only networks with a config.json can be drawn afresh; choose another importance for the cut</source>
      <translation>只有带 config.json 的网络才能重新随机生成;请为裁剪选择别的重要性</translation>
    </message>
    <message>
      <source>Only pictures can be varied or mirrored, and this model learns from something else: set vary = 0 and mirror = false</source>
      <translation>只有图片可以微变或镜像，而此模型学习的是其他数据：请设 vary = 0 且 mirror = false</translation>
    </message>
    <message>
      <source>Packed (compressed-tensors)</source>
      <translation>打包（compressed-tensors）</translation>
    </message>
    <message>
      <source>Packed weights are found by module name, and this network's are not known ({0}); export it dense.</source>
      <translation>打包权重按模块名查找，而该网络的模块名未知（{0}）；请导出为稠密格式。</translation>
    </message>
    <message>
      <source>Participation</source>
      <translation>参与比例</translation>
    </message>
    <message>
      <source>Pattern</source>
      <translation>模式</translation>
    </message>
    <message>
      <source>Perplexity</source>
      <translation>困惑度</translation>
    </message>
    <message>
      <source>Pieces a step</source>
      <translation>每步份数</translation>
    </message>
    <message>
      <source>Pitch accuracy</source>
      <translation>音高准确率</translation>
    </message>
    <message>
      <source>Plain safetensors: loads everywhere; pruned and quantized values are rounded in place, so that bytes fall only with the type.</source>
      <translation>普通 safetensors，随处可加载；剪枝和量化后的值原位存储，因此只有改变数据类型才会减小字节数。</translation>
    </message>
    <message>
      <source>Planned on symmetric grids: {0} holds layers of different bits only so</source>
      <translation>按对称网格规划：{0} 只能这样存放不同位宽的层</translation>
    </message>
    <message>
      <source>Polishing rounds</source>
      <translation>精修轮数</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>精度</translation>
    </message>
    <message>
      <source>Prices are measured by running the network; it can't run here</source>
      <translation>代价需运行网络来实测；网络无法在此运行</translation>
    </message>
    <message>
      <source>Prune gradually</source>
      <translation>渐进剪枝</translation>
    </message>
    <message>
      <source>Pruning gradually trains weights: set train = all (or lora), or switch gradual off</source>
      <translation>渐进剪枝要训练权重:请设 train = all(或 lora),或关闭 gradual</translation>
    </message>
    <message>
      <source>Pull to the start</source>
      <translation>向起点的拉力</translation>
    </message>
    <message>
      <source>Q_0</source>
      <translation>Q_0</translation>
    </message>
    <message>
      <source>Q_1</source>
      <translation>Q_1</translation>
    </message>
    <message>
      <source>RAPL: only root may read the counters (since Linux 5.10, CVE-2020-8694); to let everyone read them: {0}</source>
      <translation>RAPL：只有 root 能读计数器（自 Linux 5.10 起，CVE-2020-8694）；让所有人可读：{0}</translation>
    </message>
    <message>
      <source>RAPL: {0}</source>
      <translation>RAPL：{0}</translation>
    </message>
    <message>
      <source>RAPL: {0} shows no processor package (a virtual machine, another system, or no module intel_rapl_msr)</source>
      <translation>RAPL：{0} 中没有处理器封装（虚拟机、其他系统，或缺少 intel_rapl_msr 模块）</translation>
    </message>
    <message>
      <source>Random</source>
      <translation>随机</translation>
    </message>
    <message>
      <source>Ranges of activations</source>
      <translation>激活范围</translation>
    </message>
    <message>
      <source>Ranking weights</source>
      <translation>权重排序</translation>
    </message>
    <message>
      <source>Rate falls from round to round</source>
      <translation>学习率逐轮下降</translation>
    </message>
    <message>
      <source>Ray is not installed, so nothing can run on a cluster; install it with pip install "ray&gt;=2.55,&lt;3"</source>
      <translation>未安装 Ray，无法在集群上运行；请用 pip install "ray&gt;=2.55,&lt;3" 安装</translation>
    </message>
    <message>
      <source>Reading PyTorch files</source>
      <translation>读取 PyTorch 文件</translation>
    </message>
    <message>
      <source>Reading pictures</source>
      <translation>读取图片</translation>
    </message>
    <message>
      <source>Reading recordings</source>
      <translation>正在读取录音</translation>
    </message>
    <message>
      <source>Reading the calibration data</source>
      <translation>读取校准数据</translation>
    </message>
    <message>
      <source>Reading weights</source>
      <translation>读取权重</translation>
    </message>
    <message>
      <source>Refined by {0} real evaluations: {1} changes kept, {2} -&gt; {3} on calibration data (difference {4} ± {5})</source>
      <translation>经 {0} 次真实评测改进：保留 {1} 处改动，校准数据上 {2} -&gt; {3}（差 {4} ± {5}）</translation>
    </message>
    <message>
      <source>Refining the plan</source>
      <translation>正在改进方案</translation>
    </message>
    <message>
      <source>Refit what is left</source>
      <translation>重新拟合其余部分</translation>
    </message>
    <message>
      <source>Rotation adds {0} bytes: the output layer can't share the embedding any more</source>
      <translation>旋转增加 {0} 字节：输出层不能再与嵌入层共享权重</translation>
    </message>
    <message>
      <source>Round column by column, most active inputs first, the later columns making up for the error (Frantar et al. 2022, arXiv 2210.17323).

Without calibration data it rounds to nearest on the same grid.</source>
      <translation>逐列舍入，最活跃的输入优先，由后面的列补偿误差（Frantar 等，2022，arXiv 2210.17323）。

没有校准数据时在同一网格上就近舍入。</translation>
    </message>
    <message>
      <source>Round every weight to the nearest point of an even grid, per tensor, channel or group (Jacob et al. 2018).</source>
      <translation>将每个权重舍入到均匀网格上最近的点，可按张量、通道或分组进行（Jacob 等，2018）。</translation>
    </message>
    <message>
      <source>Round to nearest</source>
      <translation>就近舍入（RTN）</translation>
    </message>
    <message>
      <source>Round {0} of {1}</source>
      <translation>第 {0} 轮，共 {1} 轮</translation>
    </message>
    <message>
      <source>Round {0}: {1} {2} and was left out</source>
      <translation>第 {0} 轮：{1} {2}，未计入</translation>
    </message>
    <message>
      <source>Rounds</source>
      <translation>轮数</translation>
    </message>
    <message>
      <source>Running</source>
      <translation>运行</translation>
    </message>
    <message>
      <source>Running the original</source>
      <translation>正在运行原模型</translation>
    </message>
    <message>
      <source>Scope</source>
      <translation>范围</translation>
    </message>
    <message>
      <source>Searched for {0}: {1} bytes, foretold {2}</source>
      <translation>按 {0} 搜索：{1} 字节，预测 {2}</translation>
    </message>
    <message>
      <source>Sensing: one layer perturbed at a time</source>
      <translation>感知：逐层扰动</translation>
    </message>
    <message>
      <source>Sensing: rounding and dropping</source>
      <translation>感知：取整与剪除</translation>
    </message>
    <message>
      <source>Sensing: what each option does to the answers</source>
      <translation>感知：各选项对回答的影响</translation>
    </message>
    <message>
      <source>Sensing: what two layers do together</source>
      <translation>感知：两层合在一起的影响</translation>
    </message>
    <message>
      <source>Sensing: whole plans</source>
      <translation>感知：整体方案</translation>
    </message>
    <message>
      <source>Sent as</source>
      <translation>传输形式</translation>
    </message>
    <message>
      <source>Server</source>
      <translation>服务器</translation>
    </message>
    <message>
      <source>Server's rate (FedAdam)</source>
      <translation>服务器学习率（FedAdam）</translation>
    </message>
    <message>
      <source>Simulates clients that train on their own share of the data and a server that averages what they send, weighted by their samples (FedAvg, McMahan et al. 2017, arXiv:1602.05629). Masks and grids are the server's; only changes of floats are averaged. With `folders` each folder (or file) in the training data's folder is a client; else the samples are dealt. What batch norms counted stays as it is, is pooled over all clients' samples (`weighted`), or all of a batch norm is each client's own and never sent (`local`: FedBN, Li et al. 2021, arXiv:2102.07623).</source>
      <translation>模拟若干客户端各用自己的一份数据训练，服务器按样本数加权平均它们发来的结果（FedAvg，McMahan 等，2017，arXiv:1602.05629）。掩码与网格由服务器决定，只平均浮点变化量。选 `folders` 时，训练数据文件夹中的每个文件夹（或文件）就是一个客户端；否则由程序分发样本。批归一化的统计量保持不变，或按全部客户端的样本合并（`weighted`），或整个批归一化由各客户端自己保留、从不发送（`local`：FedBN，Li 等，2021，arXiv:2102.07623）。</translation>
    </message>
    <message>
      <source>Slim (GPTQ, scales, polish)</source>
      <translation>Slim（GPTQ、加权缩放、精修）</translation>
    </message>
    <message>
      <source>SparseGPT</source>
      <translation>SparseGPT</translation>
    </message>
    <message>
      <source>Split into files of</source>
      <translation>分片大小</translation>
    </message>
    <message>
      <source>Spread of the clients' sizes (0: none)</source>
      <translation>客户端数据量的离散度（0：无）</translation>
    </message>
    <message>
      <source>Stage {0} of {1}: {2}</source>
      <translation>阶段 {0}/{1}：{2}</translation>
    </message>
    <message>
      <source>Static activations are measured on data, and this network can't be run here; choose other activations</source>
      <translation>静态激活要在数据上测量，而此网络无法在此运行；请选择其他激活方式</translation>
    </message>
    <message>
      <source>Statistics</source>
      <translation>统计</translation>
    </message>
    <message>
      <source>Statistics of batch norms are sent as they are, not hidden by noise: set federated.norms = kept, or local</source>
      <translation>批归一化的统计量会原样发送，不受噪声掩盖：请设 federated.norms = kept 或 local</translation>
    </message>
    <message>
      <source>Statistics, block {0} of {1}</source>
      <translation>统计量，第 {0} 块，共 {1} 块</translation>
    </message>
    <message>
      <source>Steps</source>
      <translation>步数</translation>
    </message>
    <message>
      <source>Symmetric</source>
      <translation>对称</translation>
    </message>
    <message>
      <source>TQ1_0</source>
      <translation>TQ1_0</translation>
    </message>
    <message>
      <source>TQ2_0</source>
      <translation>TQ2_0</translation>
    </message>
    <message>
      <source>Taught by {0}, not by the original</source>
      <translation>教师为 {0},而非原模型</translation>
    </message>
    <message>
      <source>Teacher's classes on disk (0: all, in memory)</source>
      <translation>存盘的教师类别数(0:全部,在内存中)</translation>
    </message>
    <message>
      <source>Temperature</source>
      <translation>温度</translation>
    </message>
    <message>
      <source>Ternary</source>
      <translation>三值</translation>
    </message>
    <message>
      <source>Ternary weights are stored in 2 bits, not {0}; set the bits to 2 or choose another method</source>
      <translation>三值权重以 2 位存储，而不是 {0} 位；请将位数设为 2 或选择其他方法</translation>
    </message>
    <message>
      <source>The GGUF's tokenizer could not be converted ({0}); take tokenizer.json from the original model.</source>
      <translation>无法转换该 GGUF 的分词器（{0}）；请从原模型取得 tokenizer.json。</translation>
    </message>
    <message>
      <source>The Ray cluster at {0} can't be used ({1}); restart it or run without --ray</source>
      <translation>无法使用 {0} 处的 Ray 集群（{1}）；请重启它，或不带 --ray 运行</translation>
    </message>
    <message>
      <source>The block types of GGUF: same file, same bytes and speed in llama.cpp, and a better model, because scales are searched in the type the file stores them in, weighted by what the layer meets, and codes are chosen by GPTQ and coordinate descent on that very grid.

K: k-quants, where a row is a multiple of 256; elsewhere llama.cpp's fallbacks (Q4_K becomes Q5_0, Q3_K becomes IQ4_NL ...). Q_0 and Q_1: the plain types of 32 without and with a minimum. 7 and 8 bits are Q8_0. Without calibration data a plain search. IQ_, TQ and FP4 types come from llama.cpp's own encoder (libgguf), with the importance of each input where there is data; IQ1_S, IQ1_M, TQ1_0 and TQ2_0 stand where 2 bits are asked for (1.56, 1.75, 1.69 and 2.06 bits). Encoder llama.cpp: that one for all types, quick.</source>
      <translation>GGUF 的块类型：在 llama.cpp 中文件格式、字节数和速度都相同，而模型更好，因为缩放系数直接在文件所用的类型中按该层实际遇到的输入加权搜索，编码由 GPTQ 和坐标下降在同一网格上选出。

K：k 量化，要求行长是 256 的倍数；否则采用 llama.cpp 的替代类型（Q4_K 变为 Q5_0，Q3_K 变为 IQ4_NL……）。Q_0 与 Q_1：32 值的普通类型，前者无最小值，后者有。7 位和 8 位为 Q8_0。没有校准数据时只做普通搜索。IQ_、TQ 与 FP4 类型由 llama.cpp 自己的编码器（libgguf）生成，有数据时带上每个输入的重要性；选择 2 位时 IQ1_S、IQ1_M、TQ1_0 与 TQ2_0 取而代之（1.56、1.75、1.69 和 2.06 位）。编码器选 llama.cpp：所有类型都用它，速度快。</translation>
    </message>
    <message>
      <source>The cache has no part {0}; it has {1}</source>
      <translation>缓存中没有 {0}；有 {1}</translation>
    </message>
    <message>
      <source>The cluster lost {0} twice ({1}); give its machines more memory or run without --ray, what is done is kept</source>
      <translation>集群两次丢失 {0}（{1}）；请为其机器增加内存，或不带 --ray 运行，已完成的部分会保留</translation>
    </message>
    <message>
      <source>The energy counter {0} has gone while it was read; measure again, or go without a meter</source>
      <translation>能量计数器 {0} 在读取时消失了；请重新测量，或不用电表</translation>
    </message>
    <message>
      <source>The energy counter {0} went backwards; the machine slept or was reset: measure again</source>
      <translation>能量计数器 {0} 倒退了；机器休眠或重启过：请重新测量</translation>
    </message>
    <message>
      <source>The graph of {0} can't be followed ({1}: {2}); {3}</source>
      <translation>无法解析 {0} 的计算图（{1}：{2}）；{3}</translation>
    </message>
    <message>
      <source>The graph takes {0} and the file doesn't have it; export the program again</source>
      <translation>计算图需要 {0} 而文件中没有；请重新导出该程序</translation>
    </message>
    <message>
      <source>The layer store {0} can't be written ({1}); free some space or set SLIM_CACHE to another folder</source>
      <translation>无法写入层缓存 {0}（{1}）；请腾出空间，或将 SLIM_CACHE 设为其他文件夹</translation>
    </message>
    <message>
      <source>The network answers with infinities or NaN: these weights are broken; use more bits or prune less</source>
      <translation>网络输出无穷大或 NaN：权重已损坏；请提高位数或减少剪枝</translation>
    </message>
    <message>
      <source>The network can't take images of {0}: {1}</source>
      <translation>网络不接受 {0} 的图像：{1}</translation>
    </message>
    <message>
      <source>The network stopped being a chain of blocks on a batch of the calibration data; choose other data</source>
      <translation>网络在一批校准数据上不再是块的链；请选择其他数据</translation>
    </message>
    <message>
      <source>The network stopped being a chain of blocks on a batch of {0}; choose other data</source>
      <translation>网络在 {0} 的一个批次上不再是块的链式结构；请选择其他数据</translation>
    </message>
    <message>
      <source>The network wants {0} {1} and the file doesn't have it; check that the factory builds this model</source>
      <translation>网络需要 {0} {1}，而文件中没有；请检查工厂函数构建的是否是该模型</translation>
    </message>
    <message>
      <source>The opened GGUF doesn't name its architecture, which llama.cpp wants to know; take another file</source>
      <translation>打开的 GGUF 没有写明架构，而 llama.cpp 需要知道；请换一个文件</translation>
    </message>
    <message>
      <source>The plan leaves every layer as it is, so none of them can be guilty; choose fewer bits or prune first</source>
      <translation>方案未改变任何层，因此没有问题层；请先减少位数或剪枝</translation>
    </message>
    <message>
      <source>The plan was not refined, as the network does not run here</source>
      <translation>网络无法在此运行，方案未再改进</translation>
    </message>
    <message>
      <source>The plan's methods look at data, which needs a network that runs; open a folder with config.json, or choose others</source>
      <translation>方案中的方法需要数据，因此网络必须能运行；请打开带 config.json 的文件夹，或选择其他方法</translation>
    </message>
    <message>
      <source>The process for {0} stopped unexpectedly ({1}); nothing was changed, close other programs and try again</source>
      <translation>{0} 的进程意外停止（{1}）；没有改动任何内容，请关闭其他程序后重试</translation>
    </message>
    <message>
      <source>The program can't take this data ({0}); choose data of the shape it was exported for</source>
      <translation>该程序无法接受这些数据（{0}）；请选择形状与导出时一致的数据</translation>
    </message>
    <message>
      <source>The program's sample inputs are more than plain tensors and could run code, so they were left out</source>
      <translation>该程序的示例输入不只是普通张量，可能执行代码，因此已略去</translation>
    </message>
    <message>
      <source>The prompt has {0} tokens; both were given its last {1}</source>
      <translation>提示有 {0} 个词元；只给了两者最后 {1} 个</translation>
    </message>
    <message>
      <source>The recipe is not valid TOML: {0}</source>
      <translation>配方不是有效的 TOML:{0}</translation>
    </message>
    <message>
      <source>The recipe names no model; add [model] path = "…"</source>
      <translation>配方没有指定模型；请添加 [model] path = "…"</translation>
    </message>
    <message>
      <source>The recipe wants to run Python code ({0}); look at it, and add --trust if you do</source>
      <translation>配方要求运行 Python 代码（{0}）；请先查看，信任则加上 --trust</translation>
    </message>
    <message>
      <source>The server asked for a round before it had sent the model</source>
      <translation>服务器在发送模型之前就要求训练一轮</translation>
    </message>
    <message>
      <source>The server can't take this client in: {0}</source>
      <translation>服务器无法接纳此客户端：{0}</translation>
    </message>
    <message>
      <source>The server goes on without this client, which took too long (--patience); start it again</source>
      <translation>服务器不再等待这个客户端（超过 --patience），已继续下去；请重新启动它</translation>
    </message>
    <message>
      <source>The server is gone ({0}); it keeps its finished rounds: start it, then this again</source>
      <translation>服务器已离开（{0}）；已完成的轮次保留在那里：请先启动它，再启动本机</translation>
    </message>
    <message>
      <source>The server sent a model that can't be put together ({0}); install the same slim-studio on both sides</source>
      <translation>服务器发来的模型无法组装（{0}）；请在两端安装相同的 slim-studio</translation>
    </message>
    <message>
      <source>The server sent something that is no model; check that it is a slim server</source>
      <translation>服务器发来的不是模型；请确认它是 slim 服务器</translation>
    </message>
    <message>
      <source>The server speaks version {0}, this client {1}; install the same slim-studio on both sides</source>
      <translation>服务器使用版本 {0}，此客户端使用 {1}；请在两端安装相同的 slim-studio</translation>
    </message>
    <message>
      <source>The server {0}; install the same slim-studio on both sides</source>
      <translation>服务器{0}；请在两端安装相同的 slim-studio</translation>
    </message>
    <message>
      <source>The server's training follows the original model (federated.share): give your own copy of it with --teacher</source>
      <translation>服务器的训练以原始模型为教师（federated.share）：请用 --teacher 给出你自己的一份</translation>
    </message>
    <message>
      <source>The size of its pictures is not known; choose held-out pictures, which say it, and export again</source>
      <translation>不知道它的图片大小；请选择能说明大小的留出图片，然后重新导出</translation>
    </message>
    <message>
      <source>The studio can't score a {0}; it can be slimmed and exported, not evaluated</source>
      <translation>无法评测 {0}；可以压缩和导出，但不能评测</translation>
    </message>
    <message>
      <source>The teacher {0} can't run: {1}</source>
      <translation>教师 {0} 无法运行:{1}</translation>
    </message>
    <message>
      <source>The teacher {0} can't teach this model: {1}</source>
      <translation>教师 {0} 不能教这个模型:{1}</translation>
    </message>
    <message>
      <source>The temperature is 0 to 5 and the answer has one token at least; give other numbers</source>
      <translation>温度须在 0 到 5 之间，回答至少一个词元；请换其他数值</translation>
    </message>
    <message>
      <source>The tokenizer beside it can't be loaded ({0}); put tokenizer.json there</source>
      <translation>无法加载旁边的分词器（{0}）；请把 tokenizer.json 放到那里</translation>
    </message>
    <message>
      <source>The traced network is gone from the cache; export again</source>
      <translation>追踪得到的网络已不在缓存中；请重新导出</translation>
    </message>
    <message>
      <source>There are no held-out samples to look through; give --data</source>
      <translation>没有可查看的留出样本；请给出 --data</translation>
    </message>
    <message>
      <source>There are no held-out samples to measure prices on; give --data or put heldout.txt beside the model</source>
      <translation>没有用于实测代价的留出样本；请给出 --data，或在模型旁放置 heldout.txt</translation>
    </message>
    <message>
      <source>There are no samples to run the network on; give --data</source>
      <translation>没有可供网络运行的样本；请给出 --data</translation>
    </message>
    <message>
      <source>There is no device {0}; there is {1}</source>
      <translation>没有设备 {0}；可选 {1}</translation>
    </message>
    <message>
      <source>There is no region {0}; give a country's three letters (DEU, USA, CHN), or WORLD</source>
      <translation>没有地区 {0}；请给出国家的三个字母（DEU、USA、CHN）或 WORLD</translation>
    </message>
    <message>
      <source>There is no text to calibrate on apart from the scored one; choose a calibration file</source>
      <translation>除评测文本外没有可供校准的文本；请选择校准文件</translation>
    </message>
    <message>
      <source>There is nothing to go on from; write the beginning of a text first</source>
      <translation>没有可续写的内容；请先写下一段文字的开头</translation>
    </message>
    <message>
      <source>These images come without labels; give labelled ones, or distil from the original</source>
      <translation>这些图片没有标签；请提供带标签的图片，或从原模型蒸馏</translation>
    </message>
    <message>
      <source>These weights come without a description of their network: they can be slimmed, inspected and exported, but accuracy can't be measured. Open the folder with its config.json to measure it.</source>
      <translation>这些权重没有附带网络描述：可以压缩、检视和导出，但无法评测精度。打开带 config.json 的文件夹即可评测。</translation>
    </message>
    <message>
      <source>This GGUF file can be slimmed but not evaluated: {0}.</source>
      <translation>该 GGUF 文件可以压缩但无法评测：{0}。</translation>
    </message>
    <message>
      <source>This checkpoint is already quantized, so it can't be scored here; open the original instead</source>
      <translation>该模型已被量化，无法在此评测；请打开原模型</translation>
    </message>
    <message>
      <source>This federation's clients have nothing of their own to keep (federated.norms is not local): leave --keep out</source>
      <translation>这次联邦训练的客户端没有自己的部分可保留（federated.norms 不是 local）：请去掉 --keep</translation>
    </message>
    <message>
      <source>This is no report of Slim Studio ({0}: {1}); choose a report.json</source>
      <translation>这不是 Slim Studio 的报告（{0}：{1}）；请选择 report.json</translation>
    </message>
    <message>
      <source>This model needs Python code of its own, which the studio never runs; it can be slimmed, not evaluated</source>
      <translation>该模型需要自带的 Python 代码，本程序从不运行它；可以压缩，但不能评测</translation>
    </message>
    <message>
      <source>This network can't be built here, so it can't be traced; export it as dense safetensors</source>
      <translation>无法在此构建该网络，因此不能追踪；请导出为稠密 safetensors</translation>
    </message>
    <message>
      <source>This network can't be sent to a cluster ({0})</source>
      <translation>该网络无法发送到集群（{0}）</translation>
    </message>
    <message>
      <source>This network can't be watched while it runs, so no statistics can be collected; choose a method without data</source>
      <translation>无法在该网络运行时观察它，因此收集不到统计量；请选择不需要数据的方法</translation>
    </message>
    <message>
      <source>This network is for {0} and doesn't go on from a prompt; open a language model</source>
      <translation>此网络用于 {0}，不能续写提示；请打开语言模型</translation>
    </message>
    <message>
      <source>This network is for {0} and embeds no sentences; open a sentence encoder</source>
      <translation>此网络用于 {0}，不能嵌入句子；请打开句子编码器</translation>
    </message>
    <message>
      <source>This network reads {0} tokens at most, and the answer alone may have {1}; ask for fewer</source>
      <translation>此网络最多读 {0} 个词元，而回答就可能有 {1} 个；请减少词元数</translation>
    </message>
    <message>
      <source>This plan can't be packed: {0}</source>
      <translation>此方案无法打包：{0}</translation>
    </message>
    <message>
      <source>This plan can't be packed: {0}.</source>
      <translation>此方案无法打包：{0}。</translation>
    </message>
    <message>
      <source>This program computes in type number {0} of torch, which I don't know; it can be slimmed and exported</source>
      <translation>该程序以 torch 的第 {0} 号类型计算，本软件不认识；仍可压缩和导出</translation>
    </message>
    <message>
      <source>This program hands a {0} to an operation, which I don't run; it can be slimmed and exported, not evaluated</source>
      <translation>该程序把 {0} 传给一个运算，本软件不运行它；可以压缩和导出，但不能评测</translation>
    </message>
    <message>
      <source>This program holds {0} as a pickled object, which would run code when it is loaded; export it as dense safetensors</source>
      <translation>该程序以 pickle 对象保存 {0}，加载时会执行代码；请导出为稠密 safetensors</translation>
    </message>
    <message>
      <source>This program holds {0}; torch.export.load could run code of the file's own for it, so export it as dense safetensors</source>
      <translation>该程序含有{0}；torch.export.load 可能因此执行文件自带的代码，请导出为稠密 safetensors</translation>
    </message>
    <message>
      <source>This program reads token ids; put its tokenizer.json and tokenizer_config.json into the same folder to score it</source>
      <translation>该程序读取词元编号；请把 tokenizer.json 和 tokenizer_config.json 放到同一文件夹以便评测</translation>
    </message>
    <message>
      <source>This program takes an object of its own ({0}) as an input; {1}</source>
      <translation>该程序需要一个自定义对象（{0}）作为输入；{1}</translation>
    </message>
    <message>
      <source>This program takes neither images nor token ids, so there is nothing I could feed it; {0}</source>
      <translation>该程序既不接受图像也不接受词元编号，没有可输入的数据；{0}</translation>
    </message>
    <message>
      <source>This program takes {0} along axis {1} and was given {2}; {3}</source>
      <translation>该程序在第 {1} 轴上需要 {0}，而得到的是 {2}；{3}</translation>
    </message>
    <message>
      <source>This program uses the operation {0}, which I don't run; it can be slimmed and exported, not evaluated</source>
      <translation>该程序使用运算 {0}，本软件不运行它；可以压缩和导出，但不能评测</translation>
    </message>
    <message>
      <source>This program was exported in training mode, so its answers can't be scored; call model.eval() and export it again</source>
      <translation>该程序是在训练模式下导出的，其输出无法评测；请先调用 model.eval() 再重新导出</translation>
    </message>
    <message>
      <source>This program was exported on {0}; export it on the CPU to have it written again</source>
      <translation>该程序是在 {0} 上导出的；请在 CPU 上导出后再写出</translation>
    </message>
    <message>
      <source>This recipe has a goal and no plan yet; let slim plan -o write the plan that meets it, and give that</source>
      <translation>此配方只有目标而没有方案；请用 slim plan -o 写出满足目标的方案，再给出该方案</translation>
    </message>
    <message>
      <source>This recipe's network is Python code of its own, which is never sent to clients; use a model with a config.json</source>
      <translation>此配方的网络是自带的 Python 代码，绝不会发给客户端；请使用带 config.json 的模型</translation>
    </message>
    <message>
      <source>This report was written by a newer studio; open it there</source>
      <translation>该报告由更新版本写成；请在新版本中打开</translation>
    </message>
    <message>
      <source>This run {0}: {1}</source>
      <translation>本次运行{0}：{1}</translation>
    </message>
    <message>
      <source>Top-1 accuracy</source>
      <translation>Top-1 准确率</translation>
    </message>
    <message>
      <source>Tracing the network</source>
      <translation>追踪网络</translation>
    </message>
    <message>
      <source>Trained on {0} {1} of {2}</source>
      <translation>训练数据：{2} 中的 {0} {1}</translation>
    </message>
    <message>
      <source>Training</source>
      <translation>训练中</translation>
    </message>
    <message>
      <source>Training met a loss that is not a number at step {0}: it goes on from its best state at half the rate</source>
      <translation>训练在第 {0} 步遇到非数值的损失：将从最佳状态以一半的学习率继续</translation>
    </message>
    <message>
      <source>Training needs a network that runs and data to score it on; leave it out, or open the folder with config.json</source>
      <translation>训练需要可运行的网络和用于评测的数据；请不要训练，或打开带 config.json 的文件夹</translation>
    </message>
    <message>
      <source>Trains on the task itself: the next token or the label. Masks and grids hold: with `all` or `lora` a quantized layer is trained through its rounding (QAT with learned scales: LSQ, Esser et al. 2020, arXiv:1902.08153).</source>
      <translation>直接训练任务本身：下一个词元或标签。掩码与网格保持不变：选 `all` 或 `lora` 时，量化层透过取整训练（带可学习缩放的 QAT：LSQ，Esser 等，2020，arXiv:1902.08153）。</translation>
    </message>
    <message>
      <source>Trains towards a teacher's answers, (1 - λ)·task + λ·T²·KL(teacher ‖ student) (Hinton et al. 2015, arXiv:1503.02531), the original's unless another teacher is given; λ = 1 needs no labels. With a weight of hidden states, what the blocks give is taught, too (Romero et al. 2015, arXiv:1412.6550). Masks and grids hold, as in fine-tuning.</source>
      <translation>向教师的答案训练:(1 - λ)·任务 + λ·T²·KL(教师 ‖ 学生)(Hinton 等 2015,arXiv:1503.02531);未指定别的教师时,教师为原模型;λ = 1 不需要标签。隐藏状态的权重大于零时,各块的输出也一并学习(Romero 等 2015,arXiv:1412.6550)。与微调一样,掩码和网格保持不变。</translation>
    </message>
    <message>
      <source>Trimmed on either side</source>
      <translation>两端截除比例</translation>
    </message>
    <message>
      <source>True</source>
      <translation>是</translation>
    </message>
    <message>
      <source>Trying without a block</source>
      <translation>尝试去掉一个块</translation>
    </message>
    <message>
      <source>Tuning</source>
      <translation>微调</translation>
    </message>
    <message>
      <source>Tuning met infinite gradients: these weights are broken; use more bits or prune less</source>
      <translation>微调时出现无穷大的梯度：权重已损坏；请提高位数或减少剪枝</translation>
    </message>
    <message>
      <source>Tuning trains inside the network, and this one can't be looked into; set tune to off</source>
      <translation>微调需要在网络内部训练，而该网络无法深入；请将 tune 设为 off</translation>
    </message>
    <message>
      <source>Tuning was left out: the calibration data are too short to keep a part for the check; choose a longer file</source>
      <translation>已跳过微调：校准数据太短，无法留出一部分用于检查；请选择更长的文件</translation>
    </message>
    <message>
      <source>Tuning was left out: {0}</source>
      <translation>已跳过微调：{0}</translation>
    </message>
    <message>
      <source>Tuning was {0}: distance to the original on calibration data it did not see {1} -&gt; {2}, measured</source>
      <translation>微调{0}：在未参与微调的校准数据上，与原模型的距离 {1} -&gt; {2}，实测</translation>
    </message>
    <message>
      <source>Two sentences are compared; write both</source>
      <translation>需要比较两个句子；请都写上</translation>
    </message>
    <message>
      <source>Two tensors of this model would be called {0} in GGUF; export it dense or packed</source>
      <translation>此模型有两个张量在 GGUF 中会同名 {0}；请以稠密或打包格式导出</translation>
    </message>
    <message>
      <source>Types</source>
      <translation>类型</translation>
    </message>
    <message>
      <source>Values of alpha tried</source>
      <translation>尝试的 alpha 个数</translation>
    </message>
    <message>
      <source>Vary pictures</source>
      <translation>图片微变</translation>
    </message>
    <message>
      <source>Waiting for {0} clients</source>
      <translation>等待 {0} 个客户端</translation>
    </message>
    <message>
      <source>Wanda</source>
      <translation>Wanda</translation>
    </message>
    <message>
      <source>Warm-up</source>
      <translation>预热</translation>
    </message>
    <message>
      <source>Watching layers</source>
      <translation>观察各层</translation>
    </message>
    <message>
      <source>Weighing the loss</source>
      <translation>正在称量损失</translation>
    </message>
    <message>
      <source>Weight of hidden states</source>
      <translation>隐藏状态的权重</translation>
    </message>
    <message>
      <source>Weighted by samples</source>
      <translation>按样本数加权</translation>
    </message>
    <message>
      <source>Weights in a second file beyond</source>
      <translation>权重另存为第二个文件的界限</translation>
    </message>
    <message>
      <source>What [plan.cuts] says: shares that go (rounded to the nearest width that loads), how many blocks go, and how they are chosen.</source>
      <translation>[plan.cuts] 的内容：剪去的比例（取最接近的可加载宽度）、剪去多少块，以及如何选择。</translation>
    </message>
    <message>
      <source>What an error of each layer costs could not be measured here and was guessed from its kind and place</source>
      <translation>无法在此实测每层误差的代价，已按其类型和位置估计</translation>
    </message>
    <message>
      <source>What is trained</source>
      <translation>训练对象</translation>
    </message>
    <message>
      <source>Where should the result go? Give --out, or [export] path in the recipe</source>
      <translation>结果放在哪里？请给出 --out，或配方中的 [export] path</translation>
    </message>
    <message>
      <source>Which model? Give --model, or --recipe with one in it</source>
      <translation>哪个模型？请给出 --model，或含有模型的 --recipe</translation>
    </message>
    <message>
      <source>Who holds what</source>
      <translation>谁持有什么</translation>
    </message>
    <message>
      <source>Whose loss it is</source>
      <translation>损失归于哪些层</translation>
    </message>
    <message>
      <source>Writing</source>
      <translation>写入</translation>
    </message>
    <message>
      <source>Zero the smallest w^2 / [U_jj]^2 of every 128 inputs and update all that follow (Frantar &amp; Alistarh 2023, arXiv 2301.00774).

Without calibration data: magnitude.</source>
      <translation>在每 128 个输入中将 w^2 / [U_jj]^2 最小者置零，并更新其后的全部权重（Frantar 与 Alistarh，2023，arXiv 2301.00774）。

没有校准数据时：按幅值。</translation>
    </message>
    <message>
      <source>Zero the weights of smallest absolute value, layer by layer or over the whole model (Han et al. 2015).</source>
      <translation>将绝对值最小的权重置零，可逐层或在整个模型范围内进行（Han 等，2015）。</translation>
    </message>
    <message>
      <source>Zero the weights with the smallest w^2 E[(dL/dw)^2] / 2, labels drawn from the model: optimal brain damage (LeCun et al. 1990).</source>
      <translation>将 w^2 E[(dL/dw)^2] / 2 最小的权重置零，标签由模型采样：最优脑损伤（LeCun 等，1990）。</translation>
    </message>
    <message>
      <source>Zero the weights with the smallest |w * dL/dw| summed over batches: a first-order estimate of the loss (Molchanov et al. 2017).</source>
      <translation>将各批次累加的 |w * dL/dw| 最小的权重置零：这是对损失的一阶估计（Molchanov 等，2017）。</translation>
    </message>
    <message>
      <source>Zero the weights with the smallest |w| times the norm of their input, each output by itself (Sun et al. 2023, arXiv 2306.11695).

Nothing is updated. Without calibration data: magnitude within each output.</source>
      <translation>对每个输出，将 |w| 与其输入范数之积最小的权重置零（Sun 等，2023，arXiv 2306.11695）。

不更新任何权重。没有校准数据时：在每个输出内按幅值。</translation>
    </message>
    <message>
      <source>Zero weights drawn at random from a private generator: same seed, same zeros. A baseline, not a recommendation.</source>
      <translation>用独立的随机数生成器随机选择权重置零：种子相同，零的位置就相同。仅作基线，不推荐使用。</translation>
    </message>
    <message>
      <source>[calibrate] order = {0} is unknown{1}; it is one of {2}</source>
      <translation>[calibrate] order = {0} 未知{1}；应为 {2} 之一</translation>
    </message>
    <message>
      <source>[energy] phase = {0} is unknown; it is decode (written one at a time) or prefill (read at once)</source>
      <translation>[energy] phase = {0} 未知；应为 decode（逐个生成）或 prefill（一次读入）</translation>
    </message>
    <message>
      <source>[energy] {0} = 0 leaves nothing to do; give at least 1</source>
      <translation>[energy] {0} = 0 则无事可做；请至少给 1</translation>
    </message>
    <message>
      <source>[energy] {0} can't be {1}; slim place --help says what it may be</source>
      <translation>[energy] {0} 不能是 {1}；可用值见 slim place --help</translation>
    </message>
    <message>
      <source>[energy] {0} is an unknown key of the recipe; there is {1}</source>
      <translation>[energy] {0} 是配方中未知的键；可用的有 {1}</translation>
    </message>
    <message>
      <source>[goal] weights = {0}: give three, from 0 on: of loss (above 0), size and energy (one above 0)</source>
      <translation>[goal] weights = {0}：请给出三个不小于 0 的数：损失（大于 0）、大小和能耗（其一大于 0）</translation>
    </message>
    <message>
      <source>[goal] {0} = {1}: give a number above 0, such as 0.01</source>
      <translation>[goal] {0} = {1}：请给出大于 0 的数，例如 0.01</translation>
    </message>
    <message>
      <source>[goal] {0} can't be {1}; see slim plan --help for what a goal may say</source>
      <translation>[goal] {0} 不能是 {1}；目标的写法见 slim plan --help</translation>
    </message>
    <message>
      <source>[goal] {0} is an unknown key of the recipe; there is {1}</source>
      <translation>[goal] {0} 是配方中未知的键；可用的有 {1}</translation>
    </message>
    <message>
      <source>[plan.cuts] blocks = {0}: the network has {1} and at least one must be left</source>
      <translation>[plan.cuts] blocks = {0}：网络共有 {1} 个块，至少要留一个</translation>
    </message>
    <message>
      <source>[plan.cuts] blocks = {0}: {1}</source>
      <translation>[plan.cuts] blocks = {0}:{1}</translation>
    </message>
    <message>
      <source>[plan.cuts] {0} = {1}: {2}</source>
      <translation>[plan.cuts] {0} = {1}:{2}</translation>
    </message>
    <message>
      <source>[plan.recovery] is for a way to train; add recover = one of {0} to [plan]</source>
      <translation>[plan.recovery] 用于训练方式；请在 [plan] 中加入 recover = {0} 之一</translation>
    </message>
    <message>
      <source>[{0}] {1} = {2} leaves nothing to {3}; give at least 2</source>
      <translation>[{0}] {1} = {2} 时没有可供 {3} 的内容；请至少给 2</translation>
    </message>
    <message>
      <source>[{0}] {1} must be {2}, not {3}</source>
      <translation>[{0}] {1} 必须是 {2}，而不是 {3}</translation>
    </message>
    <message>
      <source>[{0}] {1}{2} must be a number, text or true/false, not {3}</source>
      <translation>[{0}] {1}{2} 必须是数字、文本或 true/false，而不是 {3}</translation>
    </message>
    <message>
      <source>a GPU does not tell its energy ({0}); counters exist from Volta on</source>
      <translation>有 GPU 不提供能量（{0}）；自 Volta 起才有计数器</translation>
    </message>
    <message>
      <source>a file named {0}</source>
      <translation>名为 {0} 的文件</translation>
    </message>
    <message>
      <source>a guard that is no comparison of sizes</source>
      <translation>不是大小比较的守卫条件</translation>
    </message>
    <message>
      <source>a name is there twice</source>
      <translation>名称重复出现</translation>
    </message>
    <message>
      <source>a program holds the rounded weights: the bytes are not saved, and integer activations are up to the runtime</source>
      <translation>程序保存舍入后的权重：不节省字节，整数激活由运行环境决定</translation>
    </message>
    <message>
      <source>a program holds values, not codes: the rounding is kept, the bytes are not saved</source>
      <translation>程序保存数值而不是编码：保留舍入结果，不节省字节</translation>
    </message>
    <message>
      <source>a shape expression that is no arithmetic ({0})</source>
      <translation>不是算术的形状表达式（{0}）</translation>
    </message>
    <message>
      <source>a sound ONNX graph</source>
      <translation>ONNX 图完整</translation>
    </message>
    <message>
      <source>a type named {0}</source>
      <translation>名为 {0} 的类型</translation>
    </message>
    <message>
      <source>activations</source>
      <translation>激活读写</translation>
    </message>
    <message>
      <source>adam</source>
      <translation>Adam</translation>
    </message>
    <message>
      <source>alignment {0} is no power of two</source>
      <translation>对齐 {0} 不是 2 的幂</translation>
    </message>
    <message>
      <source>all</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>all blocks keep the same width</source>
      <translation>所有块保持相同宽度</translation>
    </message>
    <message>
      <source>all stages keep the same share, in {0} parts</source>
      <translation>所有阶段保留相同比例，分为 {0} 份</translation>
    </message>
    <message>
      <source>amount = {0} is outside 0 to 0.95</source>
      <translation>amount = {0} 超出 0 到 0.95 的范围</translation>
    </message>
    <message>
      <source>an empty archive</source>
      <translation>空的归档文件</translation>
    </message>
    <message>
      <source>an object of its own</source>
      <translation>自定义对象</translation>
    </message>
    <message>
      <source>another shape</source>
      <translation>另一种形状</translation>
    </message>
    <message>
      <source>arithmetic</source>
      <translation>计算</translation>
    </message>
    <message>
      <source>at least one block must be left</source>
      <translation>至少要留一个块</translation>
    </message>
    <message>
      <source>at least one head must be left</source>
      <translation>至少要留一个注意力头</translation>
    </message>
    <message>
      <source>auto</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>batch</source>
      <translation>当前批次</translation>
    </message>
    <message>
      <source>batch norms counted anew</source>
      <translation>重新统计批归一化</translation>
    </message>
    <message>
      <source>bfloat16</source>
      <translation>bfloat16</translation>
    </message>
    <message>
      <source>bias: a few numbers, nothing to gain</source>
      <translation>偏置：数量很少，压缩无益</translation>
    </message>
    <message>
      <source>bits = {0}: choose 2 to 8, or 16 to leave the layer as it is</source>
      <translation>bits = {0}：请选择 2 到 8，或用 16 保持原样</translation>
    </message>
    <message>
      <source>bytes as written</source>
      <translation>写入的字节</translation>
    </message>
    <message>
      <source>calibrate in blocks of {0} inputs, so that a wide layer is solved in parts</source>
      <translation>以 {0} 个输入为块校准，使宽层分部分求解</translation>
    </message>
    <message>
      <source>calibrate on {0} tokens instead of {1}</source>
      <translation>用 {0} 个词元而不是 {1} 个校准</translation>
    </message>
    <message>
      <source>channel</source>
      <translation>通道</translation>
    </message>
    <message>
      <source>choose methods that need no data (magnitude, rtn): they work layer by layer</source>
      <translation>选择不需要数据的方法（magnitude、rtn）：它们逐层工作</translation>
    </message>
    <message>
      <source>class {0} is {1} to it and {2} to the model; choose one of the same classes</source>
      <translation>第 {0} 类对它是 {1},对模型是 {2};请选择类别相同的教师</translation>
    </message>
    <message>
      <source>clients</source>
      <translation>客户端数</translation>
    </message>
    <message>
      <source>close other programs, or exclude the largest layers ({0})</source>
      <translation>关闭其他程序，或排除最大的层（{0}）</translation>
    </message>
    <message>
      <source>compiled for one machine (AOTInductor): it holds machine code and no graph; open the program it was compiled from</source>
      <translation>为某台机器编译（AOTInductor）：含机器码而没有计算图；请打开编译前的程序</translation>
    </message>
    <message>
      <source>compressed-tensors pack-quantized: linear layers as packed integers with their scales; all else dense in its own type.</source>
      <translation>compressed-tensors 的 pack-quantized 格式：线性层存为打包的整数及其缩放因子；其余部分按原类型稠密存储。</translation>
    </message>
    <message>
      <source>config.json doesn't describe a working {0} ({1}); restore it</source>
      <translation>config.json 描述的 {0} 无法工作（{1}）；请恢复原文件</translation>
    </message>
    <message>
      <source>config.json lacks what GGUF says of a network ({0}); restore it from the original</source>
      <translation>config.json 缺少 GGUF 描述网络所需的内容（{0}）；请从原模型恢复</translation>
    </message>
    <message>
      <source>could not be heard ({0})</source>
      <translation>无法通信（{0}）</translation>
    </message>
    <message>
      <source>could not train ({0})</source>
      <translation>无法训练（{0}）</translation>
    </message>
    <message>
      <source>counted</source>
      <translation>已统计值</translation>
    </message>
    <message>
      <source>cut off</source>
      <translation>文件被截断</translation>
    </message>
    <message>
      <source>damping</source>
      <translation>阻尼</translation>
    </message>
    <message>
      <source>dealt</source>
      <translation>分发</translation>
    </message>
    <message>
      <source>dense files hold the rounded weights: the bytes are not saved, and integer activations are up to the runtime</source>
      <translation>稠密文件保存舍入后的权重:不节省字节,激活是否为整数取决于运行环境</translation>
    </message>
    <message>
      <source>dense files hold values, not codes: the rounding is kept, the bytes are not saved</source>
      <translation>稠密文件存的是数值而非编码：保留舍入效果，但不节省字节</translation>
    </message>
    <message>
      <source>distance {0}</source>
      <translation>距离 {0}</translation>
    </message>
    <message>
      <source>down to {0}: {1} would win {2} {3} per MB ({4} more)</source>
      <translation>降到 {0}：{1} 每 MB 可换回 {2} {3}（多用 {4}）</translation>
    </message>
    <message>
      <source>dtype</source>
      <translation>数据类型</translation>
    </message>
    <message>
      <source>dynamic</source>
      <translation>动态</translation>
    </message>
    <message>
      <source>dynamic int8 has 8 bits, not {0}; set bits to 8 or choose another quantizer</source>
      <translation>动态 int8 为 8 位，而不是 {0} 位；请将位数设为 8 或选择其他量化方法</translation>
    </message>
    <message>
      <source>embedding: every token looks its row up, an error here reaches every layer</source>
      <translation>嵌入层：每个词元都要查它的一行，这里的误差会传到每一层</translation>
    </message>
    <message>
      <source>error {0}   zeros {1}   {2} -&gt; {3} bytes</source>
      <translation>误差 {0}   零值 {1}   {2} -&gt; {3} 字节</translation>
    </message>
    <message>
      <source>exp of the mean negative log-likelihood of the held-out text</source>
      <translation>留出文本的平均负对数似然取指数</translation>
    </message>
    <message>
      <source>fedadam</source>
      <translation>FedAdam</translation>
    </message>
    <message>
      <source>fedavg</source>
      <translation>FedAvg</translation>
    </message>
    <message>
      <source>fedavgm</source>
      <translation>FedAvgM</translation>
    </message>
    <message>
      <source>file size</source>
      <translation>文件大小</translation>
    </message>
    <message>
      <source>float32</source>
      <translation>float32</translation>
    </message>
    <message>
      <source>folders</source>
      <translation>各有文件夹</translation>
    </message>
    <message>
      <source>full precision</source>
      <translation>全精度</translation>
    </message>
    <message>
      <source>global</source>
      <translation>全局</translation>
    </message>
    <message>
      <source>granularity</source>
      <translation>粒度</translation>
    </message>
    <message>
      <source>grid</source>
      <translation>网格</translation>
    </message>
    <message>
      <source>group</source>
      <translation>分组</translation>
    </message>
    <message>
      <source>group size</source>
      <translation>分组大小</translation>
    </message>
    <message>
      <source>groups of {0} don't divide its {1} inputs; choose another group size or per channel</source>
      <translation>分组大小 {0} 不能整除其 {1} 个输入；请选择其他分组大小或按通道量化</translation>
    </message>
    <message>
      <source>holds {0} programs and I open files with one; save the one you want with torch.export.save</source>
      <translation>含有 {0} 个程序，而本软件只打开含一个程序的文件；请用 torch.export.save 单独保存所需的那个</translation>
    </message>
    <message>
      <source>image_std 0</source>
      <translation>image_std 为 0</translation>
    </message>
    <message>
      <source>images</source>
      <translation>张图像</translation>
    </message>
    <message>
      <source>input moments not positive definite: damped by {0} of their mean diagonal instead of {1}</source>
      <translation>输入二阶矩非正定：阻尼取其平均对角元的 {0}，而非 {1}</translation>
    </message>
    <message>
      <source>input moments of no possible data (far from positive definite): only their diagonal was used</source>
      <translation>输入二阶矩不可能来自真实数据（远非正定）：只使用了其对角元</translation>
    </message>
    <message>
      <source>int8</source>
      <translation>int8</translation>
    </message>
    <message>
      <source>is gone</source>
      <translation>已离开</translation>
    </message>
    <message>
      <source>is its number {0}</source>
      <translation>在它那里是第 {0} 号</translation>
    </message>
    <message>
      <source>is unknown to it</source>
      <translation>它不认识</translation>
    </message>
    <message>
      <source>it doesn't begin with GGUF</source>
      <translation>文件不以 GGUF 开头</translation>
    </message>
    <message>
      <source>it is a network for {0}, and the model is one for {1}; choose one of the same kind</source>
      <translation>它用于 {0},而模型用于 {1};请选择同类网络</translation>
    </message>
    <message>
      <source>it knows {0} classes, the model {1}; choose one of the same classes</source>
      <translation>它有 {0} 个类别,模型有 {1} 个;请选择类别相同的教师</translation>
    </message>
    <message>
      <source>it reads pictures of {0} {1}, the model of {2}; choose one that reads the same</source>
      <translation>它读取的图像 {0} 为 {1},模型为 {2};请选择读取相同图像的教师</translation>
    </message>
    <message>
      <source>its LayerNorm subtracts the mean over the features, which a rotation doesn't keep; only RMSNorm decoders can be rotated</source>
      <translation>其 LayerNorm 会减去特征均值，而旋转不保持均值；只有 RMSNorm 解码器可以旋转</translation>
    </message>
    <message>
      <source>its blocks differ in width, and transformers wants one width for all</source>
      <translation>各块宽度不同，而 transformers 要求统一宽度</translation>
    </message>
    <message>
      <source>its calibration has {0} inputs and its weight {1}: compressed without data</source>
      <translation>其校准数据有 {0} 个输入，而权重有 {1} 个：已在无数据的情况下压缩</translation>
    </message>
    <message>
      <source>its calibration inputs are all zero or not finite: compressed without data</source>
      <translation>其校准输入全为零或非有限值：已在无数据的情况下压缩</translation>
    </message>
    <message>
      <source>its codes lie in GGUF's own blocks; choose the format GGUF</source>
      <translation>它的编码位于 GGUF 自己的块中；请选择 GGUF 格式</translation>
    </message>
    <message>
      <source>its embedding or last norm is missing</source>
      <translation>缺少嵌入层或最后的归一化层</translation>
    </message>
    <message>
      <source>its scales are {0} and GGUF's F16, so codes would not be exact; choose the quantizer GGUF blocks</source>
      <translation>它的缩放系数是 {0}，而 GGUF 的是 F16，编码不会精确；请选择量化器“GGUF 块”</translation>
    </message>
    <message>
      <source>its vocabulary has {0} tokens, the model's {1}{2}</source>
      <translation>它的词表有 {0} 个词元,模型有 {1} 个{2}</translation>
    </message>
    <message>
      <source>its {0} is missing; get the file again</source>
      <translation>缺少 {0}；请重新获取该文件</translation>
    </message>
    <message>
      <source>its {0} is {1}, the model's {2}; choose one whose answers are as wide</source>
      <translation>它的 {0} 是 {1},模型是 {2};请选择输出同样宽的教师</translation>
    </message>
    <message>
      <source>kept</source>
      <translation>保留</translation>
    </message>
    <message>
      <source>kept at {0}: {1} {2} per MB ({3} less at {4})</source>
      <translation>保持 {0}：每 MB 值 {1} {2}（{4} 可省 {3}）</translation>
    </message>
    <message>
      <source>largest difference {0}, allowed {1} ({2} of the outputs' standard deviation)</source>
      <translation>最大差异 {0}，允许 {1}（输出标准差的 {2}）</translation>
    </message>
    <message>
      <source>layer</source>
      <translation>逐层</translation>
    </message>
    <message>
      <source>leave out the cut: it holds the whole network in float32, pruning and quantization a block at a time</source>
      <translation>不做裁剪：裁剪要以 float32 保存整个网络，剪枝和量化一次只需一个块</translation>
    </message>
    <message>
      <source>llama.cpp</source>
      <translation>llama.cpp</translation>
    </message>
    <message>
      <source>llama.cpp computes {0} with SiLU, and this network has {1}; export it dense</source>
      <translation>llama.cpp 用 SiLU 计算 {0}，而此网络用 {1}；请以稠密格式导出</translation>
    </message>
    <message>
      <source>llama.cpp computes {0} with {1} = {2}, and this network has {3}; export it dense</source>
      <translation>llama.cpp 以 {1} = {2} 计算 {0}，而此网络为 {3}；请以稠密格式导出</translation>
    </message>
    <message>
      <source>llama.cpp could not read the tokens; please report this</source>
      <translation>llama.cpp 无法读取这些词元；请报告此问题</translation>
    </message>
    <message>
      <source>llama.cpp has no name for this tokenizer's way of splitting text ({0}); {1}</source>
      <translation>llama.cpp 没有这种分词方式的名称（{0}）；{1}</translation>
    </message>
    <message>
      <source>llama.cpp lets every {0}th layer of Gemma 3 see everything, and this network others; export it dense</source>
      <translation>llama.cpp 让 Gemma 3 每 {0} 层看到全文，而此网络是别的层；请以稠密格式导出</translation>
    </message>
    <message>
      <source>llama.cpp lowers all letters of this kind of tokenizer, and this one keeps them; {0}</source>
      <translation>llama.cpp 会把此类分词器的字母全部转为小写，而这个保留大小写；{0}</translation>
    </message>
    <message>
      <source>llama.cpp marks the inner pieces of words with ##, and this tokenizer otherwise; {0}</source>
      <translation>llama.cpp 用 ## 标记词内片段，而此分词器用别的标记；{0}</translation>
    </message>
    <message>
      <source>llama.cpp, Ollama, LM Studio and all that read GGUF</source>
      <translation>llama.cpp、Ollama、LM Studio 以及所有能读 GGUF 的软件</translation>
    </message>
    <message>
      <source>local</source>
      <translation>各自保留</translation>
    </message>
    <message>
      <source>lora</source>
      <translation>LoRA</translation>
    </message>
    <message>
      <source>loss {0}, {1} bytes sent</source>
      <translation>损失 {0}，发送 {1} 字节</translation>
    </message>
    <message>
      <source>mean cosine between the embeddings of both models</source>
      <translation>两个模型输出嵌入的平均余弦相似度</translation>
    </message>
    <message>
      <source>mean errors into biases</source>
      <translation>平均误差并入偏置</translation>
    </message>
    <message>
      <source>metadata array of unknown type {0}</source>
      <translation>元数据数组的类型 {0} 未知</translation>
    </message>
    <message>
      <source>metadata of unknown type {0}</source>
      <translation>元数据的类型 {0} 未知</translation>
    </message>
    <message>
      <source>method = taylor needs gradients: a network that runs, and data with labels or text; choose obs or magnitude</source>
      <translation>method = taylor 需要梯度：要有可运行的网络以及带标签的数据或文本；请选择 obs 或 magnitude</translation>
    </message>
    <message>
      <source>minmax</source>
      <translation>最小-最大值</translation>
    </message>
    <message>
      <source>mse</source>
      <translation>均方误差最小（MSE）</translation>
    </message>
    <message>
      <source>names, types and shapes</source>
      <translation>名称、类型与形状</translation>
    </message>
    <message>
      <source>needs about {0} of memory ({1} free) and {2}, estimated</source>
      <translation>约需内存 {0}（空闲 {1}）和 {2}，估计值</translation>
    </message>
    <message>
      <source>needs about {0} of memory ({1} free) and {2}, estimated; accuracy is not measured, as both models would not fit</source>
      <translation>约需内存 {0}（空闲 {1}）和 {2}，估计值；因两个模型放不下，不测精度</translation>
    </message>
    <message>
      <source>needs about {0} of memory ({1} free) and {2}, estimated; up to {3} of the teacher's answers go into the cache</source>
      <translation>约需内存 {0}（空闲 {1}）和 {2}，估计值；最多 {3} 的教师回答存入缓存</translation>
    </message>
    <message>
      <source>needs about {0} of memory ({1} free) and {2}, estimated; up to {3} of the teacher's answers go into the cache; accuracy is not measured, as both models would not fit</source>
      <translation>约需内存 {0}（空闲 {1}）和 {2}，估计值；最多 {3} 的教师回答存入缓存；因两个模型放不下，不测精度</translation>
    </message>
    <message>
      <source>negative log-likelihood in bits per UTF-8 byte; comparable across tokenizers</source>
      <translation>负对数似然，按每个 UTF-8 字节的比特数计；可在不同分词器之间比较</translation>
    </message>
    <message>
      <source>networks that hear are traced into ONNX alone; export it as ONNX, or as dense safetensors</source>
      <translation>听觉网络只能追踪为 ONNX；请导出为 ONNX 或稠密 safetensors</translation>
    </message>
    <message>
      <source>no NVIDIA driver answers ({0}); install it, or go without a meter</source>
      <translation>没有 NVIDIA 驱动应答（{0}）；请安装，或不用电表</translation>
    </message>
    <message>
      <source>no chain</source>
      <translation>不是链式结构</translation>
    </message>
    <message>
      <source>no graph in it</source>
      <translation>其中没有计算图</translation>
    </message>
    <message>
      <source>no ledger of this version</source>
      <translation>不是此版本的账本</translation>
    </message>
    <message>
      <source>norm gains refitted</source>
      <translation>重新拟合归一化增益</translation>
    </message>
    <message>
      <source>normalisation: a few numbers that scale everything after them</source>
      <translation>归一化：少量数值，却缩放其后的一切</translation>
    </message>
    <message>
      <source>not a weight matrix</source>
      <translation>不是权重矩阵</translation>
    </message>
    <message>
      <source>not run: there is no data to run it on</source>
      <translation>未运行：没有可用的数据</translation>
    </message>
    <message>
      <source>not tried: {0} doesn't know {1}</source>
      <translation>未尝试：{0} 不认识 {1}</translation>
    </message>
    <message>
      <source>one frame of {0} samples</source>
      <translation>一帧 {0} 个采样点</translation>
    </message>
    <message>
      <source>one image of {0} pixels a side</source>
      <translation>一张边长 {0} 像素的图像</translation>
    </message>
    <message>
      <source>one sentence of {0} tokens</source>
      <translation>一个 {0} 词元的句子</translation>
    </message>
    <message>
      <source>one token of {0} read at once</source>
      <translation>一次读入 {0} 个词元中的一个</translation>
    </message>
    <message>
      <source>one token written after {0}</source>
      <translation>在 {0} 个词元之后写出一个词元</translation>
    </message>
    <message>
      <source>only in {0}</source>
      <translation>仅在 {0} 中</translation>
    </message>
    <message>
      <source>onnxruntime; files without 2 to 4-bit layers also in other ONNX runtimes</source>
      <translation>onnxruntime；没有 2 到 4 位层的文件也能在其他 ONNX 运行时中使用</translation>
    </message>
    <message>
      <source>opens in onnxruntime</source>
      <translation>在 onnxruntime 中打开</translation>
    </message>
    <message>
      <source>opens in torch.export</source>
      <translation>可在 torch.export 中打开</translation>
    </message>
    <message>
      <source>opens in transformers</source>
      <translation>能用 transformers 打开</translation>
    </message>
    <message>
      <source>output layer: its error goes straight into the answer</source>
      <translation>输出层：它的误差直接进入结果</translation>
    </message>
    <message>
      <source>p of the error norm</source>
      <translation>误差范数的 p</translation>
    </message>
    <message>
      <source>pack-quantized holds even grids, and a codebook is a table of values</source>
      <translation>pack-quantized 只能存放均匀网格，而码本是取值表</translation>
    </message>
    <message>
      <source>pack-quantized holds linear layers, this is {0}</source>
      <translation>pack-quantized 只能存放线性层，而这是 {0}</translation>
    </message>
    <message>
      <source>pack-quantized needs one scale per group or channel, not per tensor</source>
      <translation>pack-quantized 需要每组或每通道一个缩放因子，而不是每张量一个</translation>
    </message>
    <message>
      <source>packed weights are found through config.json, and this model has none</source>
      <translation>打包权重要通过 config.json 查找，而该模型没有</translation>
    </message>
    <message>
      <source>packed weights need a config.json that says how they are packed, and this model has none; export it dense</source>
      <translation>打包权重需要 config.json 说明打包方式，而此模型没有；请以稠密格式导出</translation>
    </message>
    <message>
      <source>participation</source>
      <translation>参与比例</translation>
    </message>
    <message>
      <source>pattern</source>
      <translation>模式</translation>
    </message>
    <message>
      <source>places outside the tensor</source>
      <translation>张量之外的位置</translation>
    </message>
    <message>
      <source>plan</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>precision</source>
      <translation>精度</translation>
    </message>
    <message>
      <source>preprocessor_config.json doesn't say how to prepare pictures ({0}); restore it from where you got the model</source>
      <translation>preprocessor_config.json 没有说明如何预处理图片（{0}）；请从模型来源处恢复</translation>
    </message>
    <message>
      <source>rotation knows the RMSNorm decoders {0}, this is {1}</source>
      <translation>旋转支持 RMSNorm 解码器 {0}，而这是 {1}</translation>
    </message>
    <message>
      <source>rounds</source>
      <translation>轮数</translation>
    </message>
    <message>
      <source>router: a wrong gate sends tokens to the wrong expert</source>
      <translation>路由：门控出错会把词元送往错误的专家</translation>
    </message>
    <message>
      <source>runs in llama.cpp</source>
      <translation>能在 llama.cpp 中运行</translation>
    </message>
    <message>
      <source>same answers</source>
      <translation>输出一致</translation>
    </message>
    <message>
      <source>same answers in llama.cpp</source>
      <translation>llama.cpp 中答案相同</translation>
    </message>
    <message>
      <source>same tokens in llama.cpp</source>
      <translation>llama.cpp 中词元相同</translation>
    </message>
    <message>
      <source>same weights</source>
      <translation>权重相同</translation>
    </message>
    <message>
      <source>sample</source>
      <translation>样本</translation>
    </message>
    <message>
      <source>scales</source>
      <translation>缩放与归一化</translation>
    </message>
    <message>
      <source>scales refitted</source>
      <translation>重新拟合缩放</translation>
    </message>
    <message>
      <source>scope</source>
      <translation>范围</translation>
    </message>
    <message>
      <source>sent numbers of other shapes than the model's</source>
      <translation>发来的数值与模型形状不符</translation>
    </message>
    <message>
      <source>sent numbers that are not finite</source>
      <translation>发来的数值含无穷或非数</translation>
    </message>
    <message>
      <source>sent something that is no answer</source>
      <translation>发来的不是有效的回答</translation>
    </message>
    <message>
      <source>sent something that is no list of arrays</source>
      <translation>发来的不是数组列表</translation>
    </message>
    <message>
      <source>sentences</source>
      <translation>个句子</translation>
    </message>
    <message>
      <source>server</source>
      <translation>服务器</translation>
    </message>
    <message>
      <source>sgd</source>
      <translation>SGD</translation>
    </message>
    <message>
      <source>shapes differ: {0} and {1}</source>
      <translation>形状不同：{0} 与 {1}</translation>
    </message>
    <message>
      <source>shards and index</source>
      <translation>分片与索引</translation>
    </message>
    <message>
      <source>share of samples whose best answer is the label</source>
      <translation>首选答案与标签一致的样本比例</translation>
    </message>
    <message>
      <source>share of tokens or samples whose best answer is the original's</source>
      <translation>首选答案与原模型相同的词元或样本比例</translation>
    </message>
    <message>
      <source>share of voiced frames whose pitch is heard within a quarter tone (50 cents)</source>
      <translation>有声帧中音高判断误差在四分之一音（50 音分）以内的比例</translation>
    </message>
    <message>
      <source>source</source>
      <translation>与源相同</translation>
    </message>
    <message>
      <source>static</source>
      <translation>静态</translation>
    </message>
    <message>
      <source>steps</source>
      <translation>步数</translation>
    </message>
    <message>
      <source>studio</source>
      <translation>本工作室</translation>
    </message>
    <message>
      <source>symmetric</source>
      <translation>对称</translation>
    </message>
    <message>
      <source>tensor</source>
      <translation>张量</translation>
    </message>
    <message>
      <source>tensors as written</source>
      <translation>张量与写入时一致</translation>
    </message>
    <message>
      <source>the operation {0}</source>
      <translation>运算 {0}</translation>
    </message>
    <message>
      <source>the plan speaks of {0}, which this model doesn't have; remove it or open the model it was made for</source>
      <translation>方案提到了 {0}，而该模型没有；请删除它，或打开对应的模型</translation>
    </message>
    <message>
      <source>the statistics of this layer hold NaN or infinities; check the calibration data</source>
      <translation>该层的统计量含有 NaN 或无穷大；请检查校准数据</translation>
    </message>
    <message>
      <source>the vocabularies differ: {0}, the model's number {1}, {2}{3}</source>
      <translation>词表不同:{0} 是模型的第 {1} 号,{2}{3}</translation>
    </message>
    <message>
      <source>token</source>
      <translation>词元</translation>
    </message>
    <message>
      <source>tokenizer.json is not as the tokenizers library writes it ({0}); restore it from the original</source>
      <translation>tokenizer.json 不是 tokenizers 库写出的形式（{0}）；请从原模型恢复</translation>
    </message>
    <message>
      <source>tokens</source>
      <translation>个词元</translation>
    </message>
    <message>
      <source>top</source>
      <translation>仅最大项</translation>
    </message>
    <message>
      <source>torch can't turn this network into an ONNX graph ({0}); export it in another format</source>
      <translation>torch 无法把此网络转换为 ONNX 图（{0}）；请以其他格式导出</translation>
    </message>
    <message>
      <source>torch.export can't trace this network ({0}); export it as dense safetensors</source>
      <translation>torch.export 无法追踪该网络（{0}）；请导出为稠密 safetensors</translation>
    </message>
    <message>
      <source>torch.export.load, torch.compile, AOTInductor, ExecuTorch and other compilers of programs</source>
      <translation>torch.export.load、torch.compile、AOTInductor、ExecuTorch 及其他程序编译器</translation>
    </message>
    <message>
      <source>train the scales alone (train = scales), or close other programs: training holds both models and all it changes</source>
      <translation>只训练尺度(train = scales),或关闭其他程序:训练要同时容纳两个模型以及它改动的一切</translation>
    </message>
    <message>
      <source>transformers and everything that reads safetensors</source>
      <translation>transformers 以及一切能读取 safetensors 的工具</translation>
    </message>
    <message>
      <source>transformers takes a BERT head to be hidden size / heads wide, so fewer heads would be wider ones: they can't be cut alone</source>
      <translation>transformers 规定 BERT 的头宽为隐藏维度除以头数，减少头数会使每个头变宽：因此不能单独裁剪注意力头</translation>
    </message>
    <message>
      <source>transformers wants the hidden size of {0} to divide by the number of heads</source>
      <translation>transformers 要求隐藏维度 {0} 能被头数整除</translation>
    </message>
    <message>
      <source>transformers with compressed-tensors installed</source>
      <translation>装有 compressed-tensors 的 transformers</translation>
    </message>
    <message>
      <source>transformers {0} doesn't know {1}; update it or open another</source>
      <translation>transformers {0} 不认识 {1}；请更新它或打开其他模型</translation>
    </message>
    <message>
      <source>tune = {0} is unknown; it is one of {1}</source>
      <translation>tune = {0} 未知；应为 {1} 之一</translation>
    </message>
    <message>
      <source>unstructured</source>
      <translation>非结构化</translation>
    </message>
    <message>
      <source>untouched tensors</source>
      <translation>未改动的张量</translation>
    </message>
    <message>
      <source>version = {0}: this studio reads recipes of version {1}; put version = {2} first</source>
      <translation>version = {0}：本程序读取版本 {1} 的配方；请在开头写 version = {2}</translation>
    </message>
    <message>
      <source>version {0}; 2 and 3 are known, in little-endian order</source>
      <translation>版本 {0}；只支持小端序的 2 和 3</translation>
    </message>
    <message>
      <source>was silent for {0} s</source>
      <translation>{0} 秒没有回应</translation>
    </message>
    <message>
      <source>weighted</source>
      <translation>加权</translation>
    </message>
    <message>
      <source>weights</source>
      <translation>权重读取</translation>
    </message>
    <message>
      <source>widths go in steps of {0} ({1}; kernels and quantization groups want whole parts)</source>
      <translation>宽度以 {0} 为步长（{1}；计算核与量化分组要求整份）</translation>
    </message>
    <message>
      <source>without block {0}: {1}</source>
      <translation>去掉块 {0}：{1}</translation>
    </message>
    <message>
      <source>without them {0} ± {1} of {2} is left</source>
      <translation>去掉它们后 {2} 中剩余 {0} ± {1}</translation>
    </message>
    <message>
      <source>written by torch 2.8 or older, whose weights are a pickle; {0}</source>
      <translation>由 torch 2.8 或更早版本写出，其权重是 pickle；{0}</translation>
    </message>
    <message>
      <source>your own figure ({0})</source>
      <translation>自定义数值（{0}）</translation>
    </message>
    <message>
      <source>{0} (stage {1} of {2}): {3}</source>
      <translation>{0}（阶段 {1}/{2}）：{3}</translation>
    </message>
    <message>
      <source>{0} = {1} is too few inputs to share a matrix of second moments; give at least {2}</source>
      <translation>{0} = {1} 个输入太少，无法共用一个二阶矩矩阵；请至少给 {2}</translation>
    </message>
    <message>
      <source>{0} W is no power of a machine; give the watts it draws under full load</source>
      <translation>{0} W 不是机器的功率；请给出满载功率</translation>
    </message>
    <message>
      <source>{0} amount = {1} is outside 0 to 0.95</source>
      <translation>{0} amount = {1} 超出 0 到 0.95 的范围</translation>
    </message>
    <message>
      <source>{0} and {1} do different things ({2}, {3})</source>
      <translation>{0} 与 {1} 用途不同（{2}，{3}）</translation>
    </message>
    <message>
      <source>{0} answers, but not as a federation's server does ({1}); check the port</source>
      <translation>{0} 有应答，但不是联邦服务器（{1}）；请检查端口</translation>
    </message>
    <message>
      <source>{0} begins at {1}, measured on data it does not learn from</source>
      <translation>{0}：起点 {1}，在不参与学习的数据上实测</translation>
    </message>
    <message>
      <source>{0} bit-identical to the source</source>
      <translation>{0} 个与源逐位相同</translation>
    </message>
    <message>
      <source>{0} bits</source>
      <translation>{0} 位</translation>
    </message>
    <message>
      <source>{0} bits = {1}: choose 2 to 8, or 16 to leave the layer as it is</source>
      <translation>{0} bits = {1}：请选择 2 到 8，或用 16 保持原样</translation>
    </message>
    <message>
      <source>{0} bytes are out of reach: the smallest plan takes {1} bytes{2}</source>
      <translation>{0} 字节无法达到：最小的方案需要 {1} 字节{2}</translation>
    </message>
    <message>
      <source>{0} bytes are too few for the cache's {1}; give at least {2}</source>
      <translation>{0} 字节对缓存的 {1} 太少；至少给 {2}</translation>
    </message>
    <message>
      <source>{0} bytes instead of {1}</source>
      <translation>{0} 字节，应为 {1}</translation>
    </message>
    <message>
      <source>{0} bytes on disk, {1} planned</source>
      <translation>磁盘上 {0} 字节，方案为 {1}</translation>
    </message>
    <message>
      <source>{0} calibration tokens are too few; give at least 2</source>
      <translation>{0} 个校准词元太少；请至少给 2</translation>
    </message>
    <message>
      <source>{0} can't be a client's name: its key lies in a file called so; leave out slashes</source>
      <translation>{0} 不能作客户端名称：密钥文件以它命名；请去掉斜杠</translation>
    </message>
    <message>
      <source>{0} can't be read ({1}); make certificates and keys anew in another folder</source>
      <translation>{0} 无法读取（{1}）；请在另一个文件夹重新生成证书和密钥</translation>
    </message>
    <message>
      <source>{0} can't be read ({1}); measure again, or go without a meter</source>
      <translation>{0} 无法读取（{1}）；请重新测量，或不用电表</translation>
    </message>
    <message>
      <source>{0} can't be read ({1}); repair or remove it</source>
      <translation>无法读取 {0}（{1}）；请修复或删除它</translation>
    </message>
    <message>
      <source>{0} can't be read as a recording ({1}); save it as .wav with 16-bit PCM</source>
      <translation>{0} 无法作为录音读取（{1}）；请存为 16 位 PCM 的 .wav</translation>
    </message>
    <message>
      <source>{0} can't be read as a table ({1}); save it again as comma-separated UTF-8</source>
      <translation>{0} 无法作为表格读取（{1}）；请另存为逗号分隔的 UTF-8</translation>
    </message>
    <message>
      <source>{0} can't be read as plain arrays ({1}); save it with numpy.savez</source>
      <translation>{0} 无法作为普通数组读取（{1}）；请用 numpy.savez 保存</translation>
    </message>
    <message>
      <source>{0} can't be replaced: {1}; choose a new name or an empty folder.</source>
      <translation>无法替换 {0}：{1}；请换一个名称或空文件夹。</translation>
    </message>
    <message>
      <source>{0} can't be rotated: {1}; switch rotation off</source>
      <translation>{0} 无法旋转：{1}；请关闭旋转</translation>
    </message>
    <message>
      <source>{0} can't be scored on {1} ({2}); compare models of one task</source>
      <translation>{0} 无法在 {1} 上评测（{2}）；请对比同一任务的模型</translation>
    </message>
    <message>
      <source>{0} can't be written ({1}); choose another folder</source>
      <translation>{0} 无法写入（{1}）；请另选文件夹</translation>
    </message>
    <message>
      <source>{0} can't be written ({1}); choose another place</source>
      <translation>无法写入 {0}（{1}）；请换一个位置</translation>
    </message>
    <message>
      <source>{0} can't be written ({1}); choose another place for the result</source>
      <translation>{0} 无法写入（{1}）；请为结果另选位置</translation>
    </message>
    <message>
      <source>{0} can't be written ({1}); free some space or set SLIM_CACHE</source>
      <translation>无法写入 {0}（{1}）；请腾出空间或设置 SLIM_CACHE</translation>
    </message>
    <message>
      <source>{0} can't hold an exact 0, so pruned weights would come back; set its types to Q_0, or don't prune</source>
      <translation>{0} 无法保存精确的 0，剪掉的权重会恢复；请把类型设为 Q_0，或不要剪枝</translation>
    </message>
    <message>
      <source>{0} can't take part: {1}</source>
      <translation>{0} 无法参加：{1}</translation>
    </message>
    <message>
      <source>{0} checksums agree</source>
      <translation>{0} 个校验和一致</translation>
    </message>
    <message>
      <source>{0} could not be written ({1}); free some space or choose another place</source>
      <translation>未能写入 {0}（{1}）；请腾出空间或换一个位置</translation>
    </message>
    <message>
      <source>{0} could not be written ({1}); nothing was left behind. Free some space or choose another place.</source>
      <translation>无法写入 {0}（{1}）；没有留下任何残余。请腾出空间或换一个位置。</translation>
    </message>
    <message>
      <source>{0} differs from the source</source>
      <translation>{0} 与源不同</translation>
    </message>
    <message>
      <source>{0} does not discharge any more; pull the plug and measure again</source>
      <translation>{0} 不再放电；请拔掉电源再测量</translation>
    </message>
    <message>
      <source>{0} failed on the cluster ({1}: {2}); please report this</source>
      <translation>{0} 在集群上失败（{1}：{2}）；请报告此问题</translation>
    </message>
    <message>
      <source>{0} g a kWh is no grid's; give 0 to 3000</source>
      <translation>没有电网是每千瓦时 {0} 克；请给出 0 至 3000</translation>
    </message>
    <message>
      <source>{0} has fewer than two sentences of four words; choose a longer text</source>
      <translation>{0} 中四个词以上的句子不足两个；请选择更长的文本</translation>
    </message>
    <message>
      <source>{0} has no array 'images' (N, channels, height, width); 'labels' (N) may come with them</source>
      <translation>{0} 中没有数组 'images'（N、通道、高、宽）；可以同时带有 'labels'（N）</translation>
    </message>
    <message>
      <source>{0} has no column of text, only {1}; name the right one 'text'</source>
      <translation>{0} 没有文本列，只有 {1}；请将正确的列命名为 'text'</translation>
    </message>
    <message>
      <source>{0} has no knob {1}; it has {2}</source>
      <translation>{0} 没有参数 {1}；它有 {2}</translation>
    </message>
    <message>
      <source>{0} has no place in the network that rotation knows</source>
      <translation>{0} 在旋转所支持的网络中没有对应位置</translation>
    </message>
    <message>
      <source>{0} has {1} MB free and the export needs {2} MB; choose another disk.</source>
      <translation>{0} 剩余 {1} MB，而导出需要 {2} MB；请换一个磁盘。</translation>
    </message>
    <message>
      <source>{0} has {1} dimensions</source>
      <translation>{0} 有 {1} 个维度</translation>
    </message>
    <message>
      <source>{0} has {1} letters and ggml's names {2} at most; export it dense or packed</source>
      <translation>{0} 有 {1} 个字符，而 ggml 的名称最多 {2} 个；请以稠密或打包格式导出</translation>
    </message>
    <message>
      <source>{0} heads share a key-value head and go together</source>
      <translation>{0} 个头共享一个键值头，须一起裁剪</translation>
    </message>
    <message>
      <source>{0} hold no samples and change nothing</source>
      <translation>{0} 没有样本，不产生任何影响</translation>
    </message>
    <message>
      <source>{0} holds NaN or infinite weights; repair the checkpoint or choose another layer</source>
      <translation>{0} 含有 NaN 或无穷大的权重；请修复模型文件或选择其他层</translation>
    </message>
    <message>
      <source>{0} holds NaN or infinite weights; repair the checkpoint or exclude this layer from the plan</source>
      <translation>{0} 含有 NaN 或无穷大的权重；请修复模型文件，或在方案中排除该层</translation>
    </message>
    <message>
      <source>{0} holds no sound; choose another recording</source>
      <translation>{0} 中没有声音；请选择其他录音</translation>
    </message>
    <message>
      <source>{0} holds no {1} beyond the {2} that are scored; choose a calibration file ({3})</source>
      <translation>{0} 在评分用的 {2} 个之外没有更多 {1}；请选择校准文件（{3}）</translation>
    </message>
    <message>
      <source>{0} holds values that {1} can't (F16 ends at 65504); export as BF16 or F32.</source>
      <translation>{0} 中有 {1} 无法表示的值（F16 最大为 65504）；请导出为 BF16 或 F32。</translation>
    </message>
    <message>
      <source>{0} inputs, {1}</source>
      <translation>{0} 个输入，{1}</translation>
    </message>
    <message>
      <source>{0} is an importance matrix, not a model; give it as calibration data (--calibrate {1})</source>
      <translation>{0} 是重要性矩阵，不是模型；请作为校准数据给出（--calibrate {1}）</translation>
    </message>
    <message>
      <source>{0} is compressed or encrypted, which torch doesn't do</source>
      <translation>{0} 被压缩或加密，而 torch 不会这样做</translation>
    </message>
    <message>
      <source>{0} is empty, there is nothing to look at; choose another layer</source>
      <translation>{0} 是空的，没有可看的内容；请选择其他层</translation>
    </message>
    <message>
      <source>{0} is empty; choose a file with text in it</source>
      <translation>{0} 是空的；请选择有文本的文件</translation>
    </message>
    <message>
      <source>{0} is empty; exclude it from the plan (16 bits, 0 % pruning)</source>
      <translation>{0} 是空的；请在方案中排除它（16 位，剪枝 0 %）</translation>
    </message>
    <message>
      <source>{0} is empty; put samples into it</source>
      <translation>{0} 是空的；请放入样本</translation>
    </message>
    <message>
      <source>{0} is larger than {1} MB</source>
      <translation>{0} 大于 {1} MB</translation>
    </message>
    <message>
      <source>{0} is no address; write HOST:PORT, as in 127.0.0.1:8443</source>
      <translation>{0} 不是地址；请写成 主机:端口，如 127.0.0.1:8443</translation>
    </message>
    <message>
      <source>{0} is no key of a federation's client ({1}); ask the server's owner for one</source>
      <translation>{0} 不是联邦客户端的密钥（{1}）；请向服务器所有者索取</translation>
    </message>
    <message>
      <source>{0} is no ledger of a federation ({1}); choose the .rounds.jsonl beside a result</source>
      <translation>{0} 不是联邦的账本（{1}）；请选择结果旁的 .rounds.jsonl</translation>
    </message>
    <message>
      <source>{0} is no longer in the layer store; evaluate the plan again</source>
      <translation>{0} 已不在层缓存中；请重新评测方案</translation>
    </message>
    <message>
      <source>{0} is no metric; there is {1}</source>
      <translation>没有 {0} 这种度量；可用的有 {1}</translation>
    </message>
    <message>
      <source>{0} is no table of pitches ({1}); write lines of seconds and Hz: 0.01,220.5</source>
      <translation>{0} 不是音高表（{1}）；请逐行写秒数与 Hz：0.01,220.5</translation>
    </message>
    <message>
      <source>{0} is no table of pitches; write lines of seconds and Hz: 0.01,220.5</source>
      <translation>{0} 不是音高表；请逐行写秒数与 Hz：0.01,220.5</translation>
    </message>
    <message>
      <source>{0} is not UTF-8 text (byte {1}); convert it to UTF-8 first</source>
      <translation>{0} 不是 UTF-8 文本（第 {1} 字节）；请先转换为 UTF-8</translation>
    </message>
    <message>
      <source>{0} is not UTF-8 text (line {1}); convert it to UTF-8 first</source>
      <translation>{0} 不是 UTF-8 文本（第 {1} 行）；请先转换为 UTF-8</translation>
    </message>
    <message>
      <source>{0} is not UTF-8 text; convert it to UTF-8 first</source>
      <translation>{0} 不是 UTF-8 文本；请先转换为 UTF-8</translation>
    </message>
    <message>
      <source>{0} is not a Python file; give it as file.py:function</source>
      <translation>{0} 不是 Python 文件；请写成 file.py:function</translation>
    </message>
    <message>
      <source>{0} is not the model that the server's training follows; ask its owner for the very same files</source>
      <translation>{0} 不是服务器训练所用的教师模型；请向其所有者索取完全相同的文件</translation>
    </message>
    <message>
      <source>{0} is not the server {1} vouches for ({2}); get its ca.pem anew</source>
      <translation>{0} 不是 {1} 所担保的服务器（{2}）；请重新获取它的 ca.pem</translation>
    </message>
    <message>
      <source>{0} is shorter than one frame of {1} ms; choose a longer recording</source>
      <translation>{0} 短于一帧（{1} 毫秒）；请选择更长的录音</translation>
    </message>
    <message>
      <source>{0} is the importance matrix of another model: {1}; choose the one made of {2}</source>
      <translation>{0} 是另一个模型的重要性矩阵：{1}；请选由 {2} 生成的那个</translation>
    </message>
    <message>
      <source>{0} is there already; choose an empty folder, as clients may trust the old one</source>
      <translation>{0} 已存在；请选空文件夹，因为客户端可能信任旧证书</translation>
    </message>
    <message>
      <source>{0} is there already; give --keep another place</source>
      <translation>{0} 已存在；请为 --keep 另选位置</translation>
    </message>
    <message>
      <source>{0} is there already; it is the client's key</source>
      <translation>{0} 已存在；它是该客户端的密钥</translation>
    </message>
    <message>
      <source>{0} is there twice or not where the directory says</source>
      <translation>{0} 出现两次，或不在目录所说的位置</translation>
    </message>
    <message>
      <source>{0} is too short to calibrate on ({1} {2}); choose a longer file</source>
      <translation>{0} 太短，不足以校准（{1} {2}）；请选择更长的文件</translation>
    </message>
    <message>
      <source>{0} is too short to score (1 token); choose a longer text</source>
      <translation>{0} 太短，无法评测（只有 1 个词元）；请选择更长的文本</translation>
    </message>
    <message>
      <source>{0} is too short to score (fewer than two frames of 64 ms{1}); choose a longer recording</source>
      <translation>{0} 太短，无法评分（不足两帧 64 毫秒{1}）；请选择更长的录音</translation>
    </message>
    <message>
      <source>{0} knob {1}: {2} has no knob {3}{4}</source>
      <translation>{0} 参数 {1}：{2} 没有参数 {3}{4}</translation>
    </message>
    <message>
      <source>{0} layers met no calibration data and were compressed without: {1}</source>
      <translation>{0} 个层没有遇到校准数据，已在无数据的情况下压缩：{1}</translation>
    </message>
    <message>
      <source>{0} missing or not wanted</source>
      <translation>{0} 个缺失或多余</translation>
    </message>
    <message>
      <source>{0} ms for {1} {2}{3}, {4}</source>
      <translation>{1} {2} 用时 {0} 毫秒{3}，{4}</translation>
    </message>
    <message>
      <source>{0} must be a table like [plan.{1}.{2}] (names with dots stand in quotes)</source>
      <translation>{0} 必须是 [plan.{1}.{2}] 这样的表（带点的名称要加引号）</translation>
    </message>
    <message>
      <source>{0} must be a table like [{1}], not {2}</source>
      <translation>{0} 必须是 [{1}] 这样的表，而不是 {2}</translation>
    </message>
    <message>
      <source>{0} needs an input width divisible by {1}, this layer has {2}; exclude it or choose unstructured</source>
      <translation>{0} 要求输入宽度能被 {1} 整除，而该层为 {2}；请排除它或选择非结构化</translation>
    </message>
    <message>
      <source>{0} nodes</source>
      <translation>{0} 个节点</translation>
    </message>
    <message>
      <source>{0} of the {1} is out of reach: the smallest plan takes {2} of the original's, modelled</source>
      <translation>{1} 降到 {0} 无法达到：按模型估算，最小的方案仍需原来的 {2}</translation>
    </message>
    <message>
      <source>{0} of {1} are here</source>
      <translation>已到 {0} 个，共 {1} 个</translation>
    </message>
    <message>
      <source>{0} of {1} layers were taken from the layer store</source>
      <translation>{1} 层中有 {0} 层取自层缓存</translation>
    </message>
    <message>
      <source>{0} samples</source>
      <translation>{0} 个样本</translation>
    </message>
    <message>
      <source>{0} samples can't be dealt to {1} clients; choose fewer clients or more data</source>
      <translation>{0} 个样本无法分给 {1} 个客户端；请减少客户端或增加数据</translation>
    </message>
    <message>
      <source>{0} should be {1} and is {2} in the file; check that the factory builds this model</source>
      <translation>{0} 应为 {1}，文件中为 {2}；请检查工厂函数构建的是否是该模型</translation>
    </message>
    <message>
      <source>{0} should be {1} behind the layers before it and is {2}; restore the file</source>
      <translation>{0} 按前面各层应为 {1}，实为 {2}；请恢复该文件</translation>
    </message>
    <message>
      <source>{0} stored tensors have no place in the network and do not count in its score: {1}</source>
      <translation>有 {0} 个已存储的张量不属于该网络，不计入评测：{1}</translation>
    </message>
    <message>
      <source>{0} stores {1} as {2}: a tensor's name must begin with its layer's</source>
      <translation>{0} 将 {1} 存为 {2}：张量名必须以其层名开头</translation>
    </message>
    <message>
      <source>{0} takes part with {1} samples</source>
      <translation>{0} 带 {1} 个样本参加</translation>
    </message>
    <message>
      <source>{0} tells neither energy nor charge; go without a meter</source>
      <translation>{0} 既不提供能量也不提供电量；请不用电表</translation>
    </message>
    <message>
      <source>{0} was changed</source>
      <translation>{0} 被改动</translation>
    </message>
    <message>
      <source>{0}, block {1} of {2}</source>
      <translation>{0}，第 {1}/{2} 个块</translation>
    </message>
    <message>
      <source>{0}, every tensor used</source>
      <translation>{0}，所有张量均被使用</translation>
    </message>
    <message>
      <source>{0}, not measured: {1} at batch {2} on {3} ({4}), {5} GFLOP/s at {6} W, {7} GB/s at {8} W, 90 % within x/÷ {9}; zeros save nothing{10}.</source>
      <translation>{0}，未实测：{1}，批量 {2}，{3}（{4}），{5} GFLOP/s 时 {6} W，{7} GB/s 时 {8} W，90 % 在 ×÷ {9} 之内；零不省能{10}。</translation>
    </message>
    <message>
      <source>{0}, {1} g CO2e a kWh, PUE {2}</source>
      <translation>{0}，每千瓦时 {1} 克 CO2e，PUE {2}</translation>
    </message>
    <message>
      <source>{0}, {1} zero</source>
      <translation>{0}，{1} 为零</translation>
    </message>
    <message>
      <source>{0}/{1} can't be read as a picture ({2}); remove or repair it</source>
      <translation>{0}/{1} 无法作为图片读取（{2}）；请删除或修复</translation>
    </message>
    <message>
      <source>{0}: 'normalise' has std 0; give the deviation of the pixels</source>
      <translation>{0}:'normalise' 的 std 为 0；请给出像素的标准差</translation>
    </message>
    <message>
      <source>{0}: 'normalise' must hold the numbers scale, mean and std; repair it</source>
      <translation>{0}:'normalise' 必须含有数值 scale、mean 和 std；请修复</translation>
    </message>
    <message>
      <source>{0}: a row of {1} holds {2} values, no multiple of {3}'s {4}; download it again</source>
      <translation>{0}：{1} 的一行有 {2} 个值，不是 {3} 块大小 {4} 的倍数；请重新下载</translation>
    </message>
    <message>
      <source>{0}: an importance matrix ends in {1}; choose such a name</source>
      <translation>{0}：重要性矩阵以 {1} 结尾；请取这样的名称</translation>
    </message>
    <message>
      <source>{0}: can't be read ({1}); check the path</source>
      <translation>{0}：无法读取（{1}）；请检查路径</translation>
    </message>
    <message>
      <source>{0}: can't be read ({1}); choose another picture</source>
      <translation>{0}：无法读取（{1}）；请选择另一张图片</translation>
    </message>
    <message>
      <source>{0}: can't be read ({1}); make certificates with slim federated certificates {2}</source>
      <translation>{0}：无法读取（{1}）；请用 slim federated certificates {2} 生成证书</translation>
    </message>
    <message>
      <source>{0}: cut off or not a program of torch.export ({1}); get the file again</source>
      <translation>{0}：文件被截断，或不是 torch.export 的程序（{1}）；请重新获取</translation>
    </message>
    <message>
      <source>{0}: cut off or not a safetensors file (header of {1} bytes, file of {2}); download it again</source>
      <translation>{0}：文件被截断或不是 safetensors 文件（文件头 {1} 字节，文件 {2} 字节）；请重新下载</translation>
    </message>
    <message>
      <source>{0}: cut off: it should have {1} bytes and has {2}; download it again</source>
      <translation>{0}：文件被截断：应有 {1} 字节，实有 {2} 字节；请重新下载</translation>
    </message>
    <message>
      <source>{0}: cut off: {1} should end at byte {2}; download it again</source>
      <translation>{0}：文件被截断：{1} 应在第 {2} 字节结束；请重新下载</translation>
    </message>
    <message>
      <source>{0}: every client has a folder (or file) of its own in it, two at least; choose the folder above them</source>
      <translation>{0}：其中每个客户端应有自己的文件夹（或文件），至少两个；请选择它们的上级文件夹</translation>
    </message>
    <message>
      <source>{0}: give it as file.py:function with a file that exists</source>
      <translation>{0}：请写成 file.py:function，且文件必须存在</translation>
    </message>
    <message>
      <source>{0}: holds no JSON object; restore it from where you got the model</source>
      <translation>{0}：不含 JSON 对象；请从模型来源处恢复该文件</translation>
    </message>
    <message>
      <source>{0}: images are {1} and labels of kind {2}; they must be numbers and whole numbers</source>
      <translation>{0}：图像为 {1}，标签种类为 {2}；它们必须分别是数值和整数</translation>
    </message>
    <message>
      <source>{0}: images {1} and labels {2} don't fit; images must be (N, channels, height, width) and labels (N)</source>
      <translation>{0}:images {1} 与 labels {2} 不匹配；images 应为 (N, 通道， 高， 宽),labels 应为 (N)</translation>
    </message>
    <message>
      <source>{0}: its copy {1} can't be written ({2}); free some space or set SLIM_CACHE to another folder</source>
      <translation>{0}：无法写入其副本 {1}（{2}）；请腾出空间，或将 SLIM_CACHE 设为其他文件夹</translation>
    </message>
    <message>
      <source>{0}: its head count {1} doesn't fit {2} of {3}; download it again</source>
      <translation>{0}：其注意力头数 {1} 与 {3} 的 {2} 不符；请重新下载</translation>
    </message>
    <message>
      <source>{0}: its header can't be read ({1}); download it again</source>
      <translation>{0}：无法读取文件头（{1}）；请重新下载</translation>
    </message>
    <message>
      <source>{0}: its header is no table of tensors; download it again</source>
      <translation>{0}：文件头不是张量表；请重新下载</translation>
    </message>
    <message>
      <source>{0}: its layers have no names in llama.cpp's files</source>
      <translation>{0}：其层在 llama.cpp 的文件中没有名称</translation>
    </message>
    <message>
      <source>{0}: its tables of graph and weights are not what torch.export writes; get the file again</source>
      <translation>{0}：其计算图和权重表与 torch.export 的格式不符；请重新获取</translation>
    </message>
    <message>
      <source>{0}: its weight_map is no table of file names; restore it from where you got the model</source>
      <translation>{0}:weight_map 不是文件名表；请从模型来源处恢复</translation>
    </message>
    <message>
      <source>{0}: labels run from {1} to {2}, but the network has {3} classes; choose its own data</source>
      <translation>{0}：标签范围为 {1} 到 {2}，而网络有 {3} 类；请选择与之对应的数据</translation>
    </message>
    <message>
      <source>{0}: line {1} is no JSON ({2}); write one JSON object on each line</source>
      <translation>{0}：第 {1} 行不是 JSON（{2}）；请每行写一个 JSON 对象</translation>
    </message>
    <message>
      <source>{0}: line {1} is no JSON object; write lines like {{"text": "…"}}</source>
      <translation>{0}：第 {1} 行不是 JSON 对象；请写成 {{"text": "…"}} 这样的行</translation>
    </message>
    <message>
      <source>{0}: names a tensor twice; download it again</source>
      <translation>{0}：有张量重名；请重新下载</translation>
    </message>
    <message>
      <source>{0}: no .png or .jpg lies in it; put the pictures into one folder per class, or here if nobody named them</source>
      <translation>{0}：其中没有 .png 或 .jpg；请把图片按每类一个文件夹放置，没有类别时直接放在此处</translation>
    </message>
    <message>
      <source>{0}: no .safetensors in this folder; choose the folder that holds the weights</source>
      <translation>{0}：该文件夹中没有 .safetensors；请选择存放权重的文件夹</translation>
    </message>
    <message>
      <source>{0}: no .txt file in this folder; choose a folder of UTF-8 texts</source>
      <translation>{0}：该文件夹中没有 .txt 文件；请选择存放 UTF-8 文本的文件夹</translation>
    </message>
    <message>
      <source>{0}: no .wav file in this folder; choose a folder of recordings</source>
      <translation>{0}：此文件夹中没有 .wav 文件；请选择录音文件夹</translation>
    </message>
    <message>
      <source>{0}: no certificate can be read from it ({1}); give the ca.pem that the server's owner made</source>
      <translation>{0}：读不出证书（{1}）；请使用服务器主人生成的 ca.pem</translation>
    </message>
    <message>
      <source>{0}: no {1} here; there is {2}</source>
      <translation>{0}：没有 {1}；有 {2}</translation>
    </message>
    <message>
      <source>{0}: not a model file I know; I can open {1}</source>
      <translation>{0}：无法识别的模型文件；可以打开 {1}</translation>
    </message>
    <message>
      <source>{0}: not a whole GGUF file ({1}); download it again</source>
      <translation>{0}：不是完整的 GGUF 文件（{1}）；请重新下载</translation>
    </message>
    <message>
      <source>{0}: not a whole importance matrix ({1}); make it again with llama-imatrix or slim imatrix</source>
      <translation>{0}：不是完整的重要性矩阵（{1}）；请用 llama-imatrix 或 slim imatrix 重新生成</translation>
    </message>
    <message>
      <source>{0}: not readable as JSON ({1}); restore it from where you got the model</source>
      <translation>{0}：无法作为 JSON 读取（{1}）；请从模型来源处恢复</translation>
    </message>
    <message>
      <source>{0}: not readable as a PyTorch file ({1}); save the state_dict again with torch.save</source>
      <translation>{0}：无法作为 PyTorch 文件读取（{1}）；请用 torch.save 重新保存 state_dict</translation>
    </message>
    <message>
      <source>{0}: not readable as a PyTorch file; save the state_dict again with torch.save</source>
      <translation>{0}：无法作为 PyTorch 文件读取；请用 torch.save 重新保存 state_dict</translation>
    </message>
    <message>
      <source>{0}: planned {1} bytes, made {2}</source>
      <translation>{0}：计划 {1} 字节，实际 {2}</translation>
    </message>
    <message>
      <source>{0}: planned {1} in {2} bytes, made {3} in {4}</source>
      <translation>{0}：方案为 {1}（{2} 字节），实际为 {3}（{4} 字节）</translation>
    </message>
    <message>
      <source>{0}: planned {1} {2}, found {3}</source>
      <translation>{0}：计划为 {1} {2}，实际为 {3}</translation>
    </message>
    <message>
      <source>{0}: refused: it is no plain table of tensors and would run code; save its state_dict instead</source>
      <translation>{0}：已拒绝：它不是纯张量表，会执行代码；请改为保存其 state_dict</translation>
    </message>
    <message>
      <source>{0}: refused: {1}</source>
      <translation>{0}：已拒绝：{1}</translation>
    </message>
    <message>
      <source>{0}: row {1} holds no text under {2} but {3}; repair that row</source>
      <translation>{0}：第 {1} 行的 {2} 列不是文本，而是 {3}；请修复该行</translation>
    </message>
    <message>
      <source>{0}: the entry of {1} is incomplete; download it again</source>
      <translation>{0}：{1} 的条目不完整；请重新下载</translation>
    </message>
    <message>
      <source>{0}: the entry of {1} is incomplete; get the file again</source>
      <translation>{0}：{1} 的条目不完整；请重新获取该文件</translation>
    </message>
    <message>
      <source>{0}: the only way it can be stored</source>
      <translation>{0}：唯一可存储的方式</translation>
    </message>
    <message>
      <source>{0}: the opened model lies there; choose another name</source>
      <translation>{0}：打开的模型就在那里；请换一个名称</translation>
    </message>
    <message>
      <source>{0}: the opened model lies there; choose another place, an export never overwrites its source.</source>
      <translation>{0}：打开的模型就在那里；请换一个位置，导出绝不覆盖源文件。</translation>
    </message>
    <message>
      <source>{0}: the pictures differ in size and the model says none; resize them to one size first</source>
      <translation>{0}：图片大小不一，而模型没有规定尺寸；请先统一大小</translation>
    </message>
    <message>
      <source>{0}: the plan gives it what is not among its options; search a plan for the goal first</source>
      <translation>{0}：方案给它的设置不在其选项中；请先按目标搜索方案</translation>
    </message>
    <message>
      <source>{0}: the recipe can't be read ({1}); check the path</source>
      <translation>{0}：无法读取配方（{1}）；请检查路径</translation>
    </message>
    <message>
      <source>{0}: the recipe can't be written ({1}); choose another place</source>
      <translation>{0}：无法写入配方（{1}）；请换一个位置</translation>
    </message>
    <message>
      <source>{0}: the shard {1} is missing ({2} of {3}); download it into this folder</source>
      <translation>{0}：缺少分片 {1}（第 {2} 个，共 {3} 个）；请下载到该文件夹</translation>
    </message>
    <message>
      <source>{0}: there is no such file; choose held-out samples ({1} or a folder)</source>
      <translation>{0}：文件不存在；请选择留出样本（{1} 或文件夹）</translation>
    </message>
    <message>
      <source>{0}: there is nothing there; check the path</source>
      <translation>{0}：该路径不存在；请检查路径</translation>
    </message>
    <message>
      <source>{0}: there is nothing there; give --data your own samples</source>
      <translation>{0}：那里什么都没有；请用 --data 给出自己的样本</translation>
    </message>
    <message>
      <source>{0}: this export is a folder (config and weights); choose a folder's name without {1}.</source>
      <translation>{0}：此导出是一个文件夹（配置和权重）；请选择不带 {1} 的文件夹名。</translation>
    </message>
    <message>
      <source>{0}: this export is one file; choose a name that ends in {1}.</source>
      <translation>{0}：此导出是单个文件；请选择以 {1} 结尾的名称。</translation>
    </message>
    <message>
      <source>{0}: this network is for {1} and can't listen; open a network that hears, such as CREPE</source>
      <translation>{0}：此网络用于 {1}，不能聆听；请打开听觉网络，例如 CREPE</translation>
    </message>
    <message>
      <source>{0}: this network is for {1} and can't look at pictures; open a classifier</source>
      <translation>{0}：此网络用于 {1}，不能看图片；请打开分类器</translation>
    </message>
    <message>
      <source>{0}: this network needs a {1}; choose another</source>
      <translation>{0}：该网络需要 {1}；请另选</translation>
    </message>
    <message>
      <source>{0}: this program has no weights, so there is nothing to slim; export a network that has some</source>
      <translation>{0}：该程序没有权重，无可压缩；请导出含权重的网络</translation>
    </message>
    <message>
      <source>{0}: too short to learn from; choose more data</source>
      <translation>{0}：太短，不足以学习；请选择更多数据</translation>
    </message>
    <message>
      <source>{0}: too short to train on ({1} {2}); choose more data</source>
      <translation>{0}：太短，无法训练（{1} {2}）；请选择更多数据</translation>
    </message>
    <message>
      <source>{0}: too short to train on and to keep a part for the check; choose more data</source>
      <translation>{0}：太短，无法既训练又留出一部分用于检查；请选择更多数据</translation>
    </message>
    <message>
      <source>{0}: written by torch {1} in version {2} of the format, and I read version {3}; {4}</source>
      <translation>{0}：由 torch {1} 以格式版本 {2} 写出，而本软件读取版本 {3}；{4}</translation>
    </message>
    <message>
      <source>{0}: zeros in the pattern {1} can't come gradually; switch gradual off, or prune without a pattern</source>
      <translation>{0}:按 {1} 模式排列的零无法逐步出现;请关闭 gradual,或不按模式剪枝</translation>
    </message>
    <message>
      <source>{0}: {1} = {2} is outside {3} to {4}</source>
      <translation>{0}：{1} = {2} 超出 {3} 到 {4} 的范围</translation>
    </message>
    <message>
      <source>{0}: {1} can't be read any more ({2}); open the file again</source>
      <translation>{0}：{1} 已无法读取（{2}）；请重新打开文件</translation>
    </message>
    <message>
      <source>{0}: {1} can't be {2}; choose one of {3}</source>
      <translation>{0}：{1} 不能为 {2}；请选择 {3} 之一</translation>
    </message>
    <message>
      <source>{0}: {1} claims {2} bytes for {3} of {4}; the header lies, download it again</source>
      <translation>{0}：{1} 声称 {4} 的 {3} 占 {2} 字节；文件头有误，请重新下载</translation>
    </message>
    <message>
      <source>{0}: {1} has a shape or place that is no number; download it again</source>
      <translation>{0}：{1} 的形状或位置不是数字；请重新下载</translation>
    </message>
    <message>
      <source>{0}: {1} has a shape or place that is no number; get the file again</source>
      <translation>{0}：{1} 的形状或位置不是数字；请重新获取该文件</translation>
    </message>
    <message>
      <source>{0}: {1} has no .csv with its pitch beside it and others have; give all of them one, or none</source>
      <translation>{0}：{1} 旁没有音高 .csv，而其他录音有；请全部提供或全部不提供</translation>
    </message>
    <message>
      <source>{0}: {1} has squares that are negative or not finite; make it again with llama-imatrix or slim imatrix</source>
      <translation>{0}：{1} 的平方值为负或非有限；请用 llama-imatrix 或 slim imatrix 重新生成</translation>
    </message>
    <message>
      <source>{0}: {1} has type number {2} of torch, which I don't know; convert it to float32 first</source>
      <translation>{0}：{1} 的类型是 torch 的第 {2} 号，本软件不认识；请先转换为 float32</translation>
    </message>
    <message>
      <source>{0}: {1} is a pickled object (a tensor subclass, say); export the program with plain tensors</source>
      <translation>{0}：{1} 是 pickle 对象（例如张量子类）；请用普通张量导出程序</translation>
    </message>
    <message>
      <source>{0}: {1} is a view with gaps or repeats; call .contiguous() on it and export the program again</source>
      <translation>{0}：{1} 是有间隔或重复的视图；请对它调用 .contiguous() 后重新导出程序</translation>
    </message>
    <message>
      <source>{0}: {1} is missing, without which {2} can't be unpacked; export or download it again</source>
      <translation>{0}：缺少 {1}，没有它就无法解包 {2}；请重新导出或下载</translation>
    </message>
    <message>
      <source>{0}: {1} is no class of this network; name the folders like its labels ({2} …)</source>
      <translation>{0}：{1} 不是该网络的类别；请按其标签命名文件夹（{2} …）</translation>
    </message>
    <message>
      <source>{0}: {1} is no number</source>
      <translation>{0}：{1} 不是数字</translation>
    </message>
    <message>
      <source>{0}: {1} is registered twice</source>
      <translation>{0}：{1} 被注册了两次</translation>
    </message>
    <message>
      <source>{0}: {1} is stored as ggml type {2}, which I don't know; convert it with llama-quantize first</source>
      <translation>{0}：{1} 的 ggml 类型 {2} 无法识别；请先用 llama-quantize 转换</translation>
    </message>
    <message>
      <source>{0}: {1} is stored as {2}, which I don't know; convert it to F32, F16 or BF16 first</source>
      <translation>{0}：{1} 的类型 {2} 无法识别；请先转换为 F32、F16 或 BF16</translation>
    </message>
    <message>
      <source>{0}: {1} is stored as {2}, which I don't know; convert it to float32 first</source>
      <translation>{0}：{1} 的类型 {2} 无法识别；请先转换为 float32</translation>
    </message>
    <message>
      <source>{0}: {1} is unknown{2}</source>
      <translation>{0}：未知的 {1}{2}</translation>
    </message>
    <message>
      <source>{0}: {1} must be a number, not {2}</source>
      <translation>{0}：{1} 必须是数字，而不是 {2}</translation>
    </message>
    <message>
      <source>{0}: {1} must be true or false, not {2}</source>
      <translation>{0}：{1} 必须是 true 或 false，而不是 {2}</translation>
    </message>
    <message>
      <source>{0}: {1} overlaps its neighbour or leaves a gap; download the file again</source>
      <translation>{0}：{1} 与相邻张量重叠或留有空隙；请重新下载文件</translation>
    </message>
    <message>
      <source>{0}: {1} should be in {2} and isn't; download that shard again</source>
      <translation>{0}：{1} 应在 {2} 中却不在；请重新下载该分片</translation>
    </message>
    <message>
      <source>{0}: {1} should have {2} bytes and its record holds {3}; get the file again</source>
      <translation>{0}：{1} 应有 {2} 字节，而其记录只有 {3} 字节；请重新获取该文件</translation>
    </message>
    <message>
      <source>{0}: {1}() returned a {2}, not a torch.nn.Module; return the network</source>
      <translation>{0}：{1}() 返回了 {2}，而不是 torch.nn.Module；请返回网络</translation>
    </message>
    <message>
      <source>{0}: {1}, and CREPE knows {2} to {3} Hz; mend it</source>
      <translation>{0}：{1}，而 CREPE 只认 {2} 到 {3} Hz；请修正</translation>
    </message>
    <message>
      <source>{0}: {1}: {2}; correct it and try again</source>
      <translation>{0}：{1}：{2}；请更正后重试</translation>
    </message>
    <message>
      <source>{0}: {1}; choose another place.</source>
      <translation>{0}：{1}；请换一个位置。</translation>
    </message>
    <message>
      <source>{0}: {1}; loss on data it did not see {2} -&gt; {3}, measured</source>
      <translation>{0}：{1}；在未见过的数据上的损失 {2} -&gt; {3}，实测</translation>
    </message>
    <message>
      <source>{0}; export it dense</source>
      <translation>{0}；请以稠密格式导出</translation>
    </message>
    <message>
      <source>{0}; {1} in {2} layers, whose rows 256 does not divide</source>
      <translation>{0}；{2} 层的行长不能被 256 整除，采用 {1}</translation>
    </message>
    <message>
      <source>{0}; {1} {2}/s, measured on this machine</source>
      <translation>{0}；{1} {2}/s，在本机实测</translation>
    </message>
    <message>
      <source>{0}the network wants {1} {2} and the file doesn't have it; {3}</source>
      <translation>{0}网络需要 {1} {2}，而文件中没有；{3}</translation>
    </message>
    <message>
      <source>{0}{1} is an unknown key of the recipe{2}</source>
      <translation>{0}{1} 是配方中未知的键{2}</translation>
    </message>
    <message>
      <source>{0}{1} should be {2} and is {3} in the file; {4}</source>
      <translation>{0}{1} 应为 {2}，文件中为 {3}；{4}</translation>
    </message>
    <message>
      <source>λ, weight of the teacher</source>
      <translation>λ，教师权重</translation>
    </message>
  </context>
</TS>